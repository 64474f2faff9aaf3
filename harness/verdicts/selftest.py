"""A board against itself: how often each gate cries wolf there, and the least it notices.

Sessions of one unchanged pipeline are drawn apart into some that stand for a baseline and one that
stands for a change, again and again, and the gates of the benchmarks judge each draw. What they
fail is a false alarm. Two effects are read off the intervals, whose ends an effect shifts: the
least that is told from none in 95 % of the draws, whatever the margin, and the least that fails.
Draws of the same sessions are not independent: the share of false alarms is of this board as it
was in those sessions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betaincinv

from harness.verdicts.change_gates import gate_error_change, gate_slowdown
from harness.verdicts.noninferiority import PairedError
from harness.verdicts.outcome import GateResult, Outcome
from harness.verdicts.run_latency import EXACT, Runs, session_sd_percent
from harness.verdicts.thresholds import ChangeRule

CAUGHT = 0.95
FEWEST_SESSIONS = 4
SEED = 20100  # the same records give the same table
Needed = Callable[[GateResult], tuple[float, float] | None]
"""The effect that would be told from none in one draw, and the one that would fail."""


@dataclass(frozen=True)
class GateTest:
    """What came of one gate over ``comparisons`` of equal sessions.

    In ``unit``, None where some draws had no interval to tell: ``detectable`` is the smallest
    effect told from none in 95 % of them, and ``least`` the smallest that fails, which has to reach
    the margin too. A margin below ``detectable`` asks for what cannot be seen on this board.
    """

    gate: str
    unit: str
    margin: float
    comparisons: int
    false_alarms: int
    undecided: int
    detectable: float | None
    least: float | None

    @property
    def false_alarm_rate(self) -> float:
        """The share of equal sessions that were called worse."""
        return self.false_alarms / self.comparisons


def draws(sessions: int, baseline: int, repeats: int) -> Iterator[tuple[list[int], int]]:
    """Yield the sessions of a baseline, and the one held against it, drawn without putting back.

    Raises:
        ValueError: too few sessions for a baseline of so many.
    """
    if sessions < max(FEWEST_SESSIONS, baseline + 1):
        raise ValueError(f"{sessions} sessions are too few for a baseline of {baseline}")
    rng = np.random.default_rng(SEED)
    for _ in range(repeats):
        *old, new = rng.permutation(sessions)[: baseline + 1].tolist()
        yield old, new


def try_times(
    rule: ChangeRule,
    stages: Mapping[str, Runs],
    baseline: int,
    repeats: int,
    *,
    counted: bool = False,
) -> tuple[GateTest, ...]:
    """Hold sessions against each other by ``gate_slowdown``.

    Args:
        rule: the margins.
        stages: by stage, for each recording one mean per frame a session.
        baseline: how many sessions stand for a baseline.
        repeats: how many draws.
        counted: whether the figures are instructions.
    """
    sessions = min(len(runs) for one in stages.values() for runs in one.values())
    apart = session_sd(stages)
    seen: dict[str, list[GateResult]] = {}
    for old, new in draws(sessions, baseline, repeats):
        gates = gate_slowdown(
            rule,
            {stage: _taken(runs, old) for stage, runs in stages.items()},
            {stage: _taken(runs, [new]) for stage, runs in stages.items()},
            0.0 if counted else apart,
            session_freedom=EXACT if counted else sessions - 1,
            counted=counted,
        )
        for gate in gates:
            seen.setdefault(gate.gate, []).append(gate)
    needed = _to_exceed if counted else _percent_to_fail
    return tuple(_summed(name, "%", found, needed) for name, found in seen.items())


def try_errors(
    rule: ChangeRule, sessions: Sequence[Sequence[PairedError]], repeats: int
) -> tuple[GateTest, ...]:
    """Hold the heart rates of sessions against each other by ``gate_error_change``.

    ``sessions`` has one row a session, of the same recordings in the same order; of each pair its
    ``estimate_bpm`` counts.
    """
    seen: dict[str, list[GateResult]] = {}
    for (old,), new in draws(len(sessions), 1, repeats):
        pairs = [
            replace(now, baseline_bpm=before.estimate_bpm)
            for before, now in zip(sessions[old], sessions[new], strict=True)
        ]
        for gate in gate_error_change(rule, pairs):
            seen.setdefault(gate.gate, []).append(gate)
    return tuple(_summed(name, "bpm", found, _bpm_to_fail) for name, found in seen.items())


def session_sd(stages: Mapping[str, Runs]) -> float:
    """Return how far whole sessions lie apart in all stages together, in percent."""
    names = set.intersection(*(set(runs) for runs in stages.values()))
    whole = {
        name: np.sum([runs[name] for runs in stages.values()], axis=0).tolist()
        for name in sorted(names)
    }
    return session_sd_percent(whole)


def most_alarms(alarms: int, comparisons: int) -> float:
    """Return the upper end of a one-sided 95 % interval (Clopper & Pearson 1934) of the rate."""
    if alarms == comparisons:
        return 1.0
    return float(betaincinv(alarms + 1, comparisons - alarms, CAUGHT))


def _taken(runs: Runs, sessions: Sequence[int]) -> dict[str, list[float]]:
    return {name: [values[one] for one in sessions] for name, values in runs.items()}


def _summed(name: str, unit: str, found: Sequence[GateResult], needed: Needed) -> GateTest:
    outcomes = Counter(one.outcome for one in found)
    effects = [both for one in found if (both := needed(one)) is not None]
    detectable = least = None
    if len(effects) == len(found):
        seen, failed = np.quantile(effects, CAUGHT, axis=0, method="higher")
        detectable, least = float(seen), float(failed)
    margin = next(one.threshold for one in found)
    return GateTest(
        gate=name,
        unit=unit,
        margin=float(margin or 0.0),
        comparisons=len(found),
        false_alarms=outcomes[Outcome.FAIL],
        undecided=outcomes[Outcome.INCONCLUSIVE],
        detectable=detectable,
        least=least,
    )


def _percent_to_fail(gate: GateResult) -> tuple[float, float] | None:
    """What slow-down would lift the interval above 0, and its end to the margin as well."""
    if gate.interval is None or gate.threshold is None:
        return None
    low, high = (math.log1p(one / 100) for one in (gate.interval.low, gate.interval.high))
    seen = max(-low, 0.0)
    failed = max(seen, math.log1p(gate.threshold / 100) - high)
    return 100 * math.expm1(seen), 100 * math.expm1(failed)


def _to_exceed(gate: GateResult) -> tuple[float, float] | None:
    """What a count is off by itself, and what must be added to it to exceed the margin."""
    if gate.figure is None or gate.threshold is None:
        return None
    return abs(gate.figure), max(gate.threshold - gate.figure, 0.0)


def _bpm_to_fail(gate: GateResult) -> tuple[float, float] | None:
    """What every recording's error must grow by."""
    if gate.interval is None or gate.threshold is None:
        return None
    seen = max(-gate.interval.low, 0.0)
    return seen, max(seen, gate.threshold - gate.interval.high)
