"""What is known of a case by now: its reports and gates, and how a summary shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.realtime import real_time
from harness.replays import CaseRun
from harness.reports.terminal import CaseSummary
from harness.reports.variants import Fidelity, Variant
from harness.verdicts.accuracy import AccuracyReport, score
from harness.verdicts.against_baseline import Comparison
from harness.verdicts.counts import CountReport, count
from harness.verdicts.fidelity import FidelityReport
from harness.verdicts.latency import LatencyReport, measure
from harness.verdicts.outcome import GateResult
from rppg_core.records import INSTRUCTIONS

NO_FACTORS: Mapping[str, float] = {}


@dataclass
class Verdicts:
    """A case's reports and gates, as far as they were asked for."""

    run: CaseRun
    accuracy: AccuracyReport | None = None
    accuracy_gates: tuple[GateResult, ...] = ()
    latency: LatencyReport | None = None
    counts: CountReport | None = None
    latency_gates: tuple[GateResult, ...] = ()
    fidelity: FidelityReport | None = None
    fidelity_gates: tuple[GateResult, ...] = ()
    realtime_gates: tuple[GateResult, ...] = ()
    sustained_gates: tuple[GateResult, ...] = ()
    stage_gates: tuple[GateResult, ...] = ()
    timed: bool = False
    error_change: Comparison | None = None
    time_change: Comparison | None = None

    @property
    def all_accuracy_gates(self) -> tuple[GateResult, ...]:
        """Those on the figures, and on their change since the baseline."""
        return (*self.accuracy_gates, *(self.error_change.gates if self.error_change else ()))

    @property
    def all_latency_gates(self) -> tuple[GateResult, ...]:
        """Those on the figures, and on their change since the baseline."""
        return (*self.latency_gates, *(self.time_change.gates if self.time_change else ()))

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """All gates that were asked for."""
        return (
            *self.all_accuracy_gates,
            *self.all_latency_gates,
            *self.fidelity_gates,
            *self.realtime_gates,
            *self.sustained_gates,
            *self.stage_gates,
        )

    def add_speed(self) -> None:
        """Sum up the stages: their times, or what they count where the board has no clock."""
        if self.run.unit == INSTRUCTIONS:
            self.counts = count(self.run.times)
        else:
            self.latency = measure(self.run.times)


def measured_with(run: CaseRun) -> dict[str, str]:
    """What a count of instructions holds for."""
    return {
        "detector": run.named("detector"),
        "model": run.named("model", "name"),
        "recordings": ", ".join(sorted(one.recording for one in run.replays)),
    }


def summarise(held: Verdicts, instructions_per_ms: Mapping[str, float] = NO_FACTORS) -> CaseSummary:
    """A case as the terminal summary shows it."""
    run = held.run
    band = f"{run.named('settings', 'pulse', 'low_hz')}-{run.named('settings', 'pulse', 'high_hz')}"
    return CaseSummary(
        case=run.case,
        synthetic=run.synthetic,
        detector=run.named("detector"),
        model=f"{run.named('model', 'name')} on {run.named('runtime', 'name')} "
        f"{run.named('runtime', 'version')}",
        labels=label_note(run),
        heart_rate=f"{run.named('settings', 'pulse', 'method')}, {band} Hz, whole recording",
        accuracy=held.accuracy,
        accuracy_gates=held.accuracy_gates,
        latency=held.latency,
        counts=held.counts,
        instructions_per_ms=instructions_per_ms,
        latency_gates=held.latency_gates,
        failures=run.failures,
        realtime=real_time(run, held.realtime_gates, held.sustained_gates),
        fidelity=None
        if held.fidelity is None
        else Fidelity(run.case, run.synthetic, held.fidelity, held.fidelity_gates),
        variant=None
        if run.unit == INSTRUCTIONS  # which are no time
        else Variant(
            run.case,
            run.synthetic,
            run.model_bytes,
            score(run.scored).overall,
            measure(run.times),
            held.fidelity,
            held.gates,
        ),
        absent=run.absent,
        stage_gates=held.stage_gates,
        invalid=run.invalid,
        timed=held.timed,
        error_change=held.error_change,
        time_change=held.time_change,
    )


def label_note(run: CaseRun) -> str:
    """The conventions of the reference heart rates, and how many of those cannot be trusted."""
    conventions = ", ".join(sorted({one.convention for one in run.replays}))
    count = sum(bool(one.label_defects) for one in run.replays)
    if not count:
        return conventions
    noun = "recording" if count == 1 else "recordings"
    return (
        f"{conventions}; {count} {noun} with unrepaired defects: "
        f"rppg-bench labels {run.case.dataset}"
    )
