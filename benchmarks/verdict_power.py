"""How often the verdicts cry wolf, and what they miss, over simulated comparisons.

    python benchmarks/verdict_power.py [--repeats 1000] [--subjects 12]

All is simulated: two measurements of the same pipeline (A/A), then one of a worse. Heart rates:
each recording's error changes by noise of one of three kinds. Times: frames of a run are
autocorrelated (AR(1), 0.9), each run has an offset of its own of 3 %, each session of runs one of
1 %, and the gate of the benchmarks judges them at its default margins. The last line holds frames,
not runs, against each other, as one should not.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter
from scipy.stats import binomtest, mannwhitneyu

from harness.verdicts.against_baseline import Asked, compare_times
from harness.verdicts.baseline import TimePart, Times, time_part
from harness.verdicts.change import Change
from harness.verdicts.change_gates import SLOWDOWN, gate_slowdown
from harness.verdicts.noninferiority import PairedError, error_change
from harness.verdicts.outcome import GateResult, Outcome
from harness.verdicts.provenance import Provenance
from harness.verdicts.run_latency import slowdown
from harness.verdicts.thresholds import DEFAULT_SESSION_SD_PERCENT, ChangeRule

MARGIN_BPM, GROUP_MARGIN_BPM, COUNT_MARGIN_PERCENT = 0.5, 1.0, 0.5
SHIFT_BPM, SLOWER = 0.5, 1.10
FRAMES, AR, RUN_SD, FRAME_SD, COUNT_SD = 300, 0.9, 0.03, 0.15, 0.0003
SESSION_SD = DEFAULT_SESSION_SD_PERCENT / 100
WIDE_SD, NOISIER = 2 * SESSION_SD, "2 %"  # twice what is assumed
RULE = ChangeRule()
PLACES = (
    "processor", "machine", "kernel", "python", "numpy", "opencv", "runtime", "delegate",
    "threads", "model", "model_sha256", "detector", "labels",
)  # fmt: skip
EQUAL, WORSE, TOLD = "equal", "worse", "told only: no claim is made of it"
Rng = np.random.Generator
Trial = Callable[[Rng], Change | GateResult]
STAGES_MS = {"decode": 1.5, "predict": 1.0}
NOWHERE = Provenance(**dict.fromkeys(PLACES, "simulated"))


def normal(rng: Rng, count: int) -> np.ndarray:
    return rng.normal(0, 0.3, count)


def heavy(rng: Rng, count: int) -> np.ndarray:
    return 0.15 * rng.standard_t(3, count)


def lost(rng: Rng, count: int) -> np.ndarray:
    """One recording in fifty loses its pulse, or finds it again, by 20 bpm."""
    return normal(rng, count) + rng.choice([-20, 0, 20], count, p=[0.01, 0.98, 0.01])


def many_lost(rng: Rng, count: int) -> np.ndarray:
    """A model that lost the pulse: every error grows, a third of them by tens of bpm."""
    return rng.uniform(0.6, 5, count) + 60 * rng.random(count) * (rng.random(count) < 1 / 3)


def accuracy(noise: Callable[[Rng, int], np.ndarray], subjects: int, margin: float, shift: float):
    def trial(rng: Rng) -> Change:
        changes = shift + noise(rng, subjects)
        return error_change(
            [PairedError(f"{n}", f"{n}", 80, 110, 110 + one) for n, one in enumerate(changes)],
            margin,
        )

    return trial


def run_frames(rng: Rng) -> np.ndarray:
    """Times of one run's frames, in ms."""
    noise = lfilter([1], [1, -AR], rng.normal(0, FRAME_SD * np.sqrt(1 - AR**2), FRAMES))
    return np.exp(noise + rng.normal(0, RUN_SD))


def latency(recordings: int, sessions: int, factor: float, gate: str = SLOWDOWN) -> Trial:
    """Sessions against as many, by the gate that the benchmarks have."""

    def side(rng: Rng, slower: float) -> dict[str, dict[str, list[float]]]:
        apart = np.exp(rng.normal(0, SESSION_SD, sessions)) * slower
        return {
            stage: {
                f"{n}": [ms * float(run_frames(rng).mean()) * one for one in apart]
                for n in range(recordings)
            }
            for stage, ms in STAGES_MS.items()
        }

    def trial(rng: Rng) -> GateResult:
        found = gate_slowdown(RULE, side(rng, 1.0), side(rng, factor), RULE.session_sd_percent)
        return next(one for one in found if one.gate == gate)

    return trial


def stored(rng: Rng, recordings: int, sd: float, sessions: int, factor: float) -> TimePart:
    """Sessions of a board that lie so far apart, as a baseline keeps them."""
    apart = np.exp(rng.normal(0, sd, sessions)) * factor
    found = {
        f"{n}": Times(
            video="0" * 12,
            stages={
                stage: tuple(ms * float(run_frames(rng).mean()) * one for one in apart)
                for stage, ms in STAGES_MS.items()
            },
        )
        for n in range(recordings)
    }
    return time_part(NOWHERE, "ms", found)


def against_baseline(recordings: int, sessions: int, sd: float, factor: float) -> Trial:
    """One session against a baseline of several, whose spread the gate has to see by itself."""

    def trial(rng: Rng) -> GateResult:
        old = stored(rng, recordings, sd, sessions, 1.0)
        found = compare_times(RULE, old, stored(rng, recordings, sd, 1, factor), Asked())
        return next(one for one in found.gates if one.gate == SLOWDOWN)

    return trial


def counts(recordings: int, factor: float) -> Trial:
    def trial(rng: Rng) -> Change:
        base, now = (
            {f"{n}": [20 * one * np.exp(rng.normal(0, COUNT_SD))] for n in range(recordings)}
            for one in (1.0, factor)
        )
        return slowdown(base, now, COUNT_MARGIN_PERCENT)

    return trial


def frames_alarm(rng: Rng, recordings: int) -> bool:
    """Whether equal pipelines differ at p < 0.01 where frames are taken for independent."""
    one, other = (np.concatenate([run_frames(rng) for _ in range(recordings)]) for _ in range(2))
    return bool(mannwhitneyu(one, other).pvalue < 0.01)


def tally(trial: Trial, repeats: int) -> Counter[Outcome]:
    rng = np.random.default_rng(1)
    return Counter(trial(rng).outcome for _ in range(repeats))


def main() -> int:
    """Exit status 1 where a claim does not hold: over 1 % false alarms, or under 95 % power."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--subjects", type=int, default=12, help="recordings, one a subject")
    options = parser.parse_args()
    n, repeats = options.subjects, options.repeats
    some, more = n, round(5 / 3 * n)
    rows: list[tuple[str, Trial, str]] = [
        (f"error, normal noise, {n} subjects", accuracy(normal, n, MARGIN_BPM, 0), EQUAL),
        (f"error, heavy tails, {n}", accuracy(heavy, n, MARGIN_BPM, 0), EQUAL),
        (f"error, pulses lost, {n}", accuracy(lost, n, MARGIN_BPM, 0), EQUAL),
        ("error of a group, normal, 8", accuracy(normal, 8, GROUP_MARGIN_BPM, 0), EQUAL),
        (f"time, {n} recordings, 1 session", latency(n, 1, 1.0), EQUAL),
        (f"time, {n} recordings, 2 sessions", latency(n, 2, 1.0), EQUAL),
        (f"time of a stage, {n}, 2 sessions", latency(n, 2, 1.0, f"{SLOWDOWN}.predict"), EQUAL),
        (f"time, {n}, baseline of 3", against_baseline(n, 3, SESSION_SD, 1.0), EQUAL),
        (f"time, {n}, baseline of 5", against_baseline(n, 5, SESSION_SD, 1.0), EQUAL),
        (f"same, sessions {NOISIER} apart, of 1", against_baseline(n, 1, WIDE_SD, 1.0), TOLD),
        (f"same, sessions {NOISIER} apart, of 3", against_baseline(n, 3, WIDE_SD, 1.0), TOLD),
        (f"same, sessions {NOISIER} apart, of 5", against_baseline(n, 5, WIDE_SD, 1.0), TOLD),
        (f"instructions, {n} recordings", counts(n, 1.0), EQUAL),
        (f"error + 0.5 bpm, normal, {n}", accuracy(normal, n, MARGIN_BPM, SHIFT_BPM), WORSE),
        (f"error + 0.5 bpm, heavy, {some}", accuracy(heavy, some, MARGIN_BPM, SHIFT_BPM), TOLD),
        (f"error + 0.5 bpm, heavy, {more}", accuracy(heavy, more, MARGIN_BPM, SHIFT_BPM), WORSE),
        (f"error, most pulses lost, {n}", accuracy(many_lost, n, MARGIN_BPM, 0), WORSE),
        ("error + 1 bpm of a group, 8", accuracy(normal, 8, GROUP_MARGIN_BPM, 1.0), WORSE),
        (f"time + 10 %, {n}, 1 session", latency(n, 1, SLOWER), TOLD),
        (f"time + 10 %, {n}, 2 sessions", latency(n, 2, SLOWER), WORSE),
        (f"time + 10 %, {n}, baseline of 3", against_baseline(n, 3, SESSION_SD, SLOWER), WORSE),
        (f"instructions + 1 %, {n}", counts(n, 1.01), WORSE),
    ]
    broken = False
    print(f"{repeats} simulated comparisons each; 99 % intervals; A/A rows first")
    print(f"{'comparison':38} {'fail':>7} {'95 % CI':>13} {'unsure':>7} {'pass':>7}")
    for name, trial, what in rows:
        found = tally(trial, repeats)
        failed = found[Outcome.FAIL]
        ends = binomtest(failed, repeats).proportion_ci()
        share = failed / repeats
        holds = {EQUAL: share <= 0.01, WORSE: share >= 0.95, TOLD: True}[what]
        broken = broken or not holds
        unsure, passed = found[Outcome.INCONCLUSIVE] / repeats, found[Outcome.PASS] / repeats
        print(
            f"{name:38} {share:7.2%} {ends.low:6.2%}-{ends.high:6.2%} "
            f"{unsure:7.2%} {passed:7.2%}{'' if holds else '  DOES NOT HOLD'}"
        )
        sys.stdout.flush()
    rng = np.random.default_rng(1)
    naive = sum(frames_alarm(rng, n) for _ in range(200)) / 200
    print(f"frames against frames (p < 0.01), equal pipelines: {naive:.0%} false alarms")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
