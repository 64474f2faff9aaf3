"""A run held against approved figures: missing, incomparable, worse, slower, or the same."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from rich.console import Console

from harness.reports.baseline_table import Against, baseline_table
from harness.verdicts.against_baseline import (
    COMPLETE,
    Asked,
    compare_errors,
    compare_times,
    session_sd,
)
from harness.verdicts.baseline import (
    SESSIONS_KEPT,
    ErrorPart,
    HeartRate,
    Times,
    add_session,
    error_part,
    has_session,
    time_part,
)
from harness.verdicts.change_gates import ERROR_CHANGE, INSTRUCTIONS_ADDED, SLOWDOWN
from harness.verdicts.explain_changes import explain_changes
from harness.verdicts.gates import COMPARABLE
from harness.verdicts.outcome import Outcome, gravest
from harness.verdicts.provenance import Provenance
from harness.verdicts.run_latency import EXACT
from harness.verdicts.thresholds import ChangeRule

BASE = {
    "processor": "Cortex-A53",
    "machine": "aarch64",
    "kernel": "4.14",
    "python": "3.7.3",
    "numpy": "1.16",
    "opencv": "4.5",
    "runtime": "tflite_runtime 2.5",
    "delegate": "none",
    "threads": "4",
    "model": "tscan-afrl/int8",
    "model_sha256": "a" * 64,
    "detector": "haar",
    "labels": "ppg-fft",
}
RULE, ALL = ChangeRule(), Asked()
TRUTHS = {f"s{i:02}": 60.0 + 5 * i for i in range(12)}
STAGES = {"decode": 1.5, "predict": 4.0}


def where(**other):
    return Provenance(**{**BASE, **other})


def errors(shift=0.0, truths=TRUTHS, video="0" * 12, **other):
    found = {
        name: HeartRate(
            subject=name, video=video, reference_bpm=truth, estimate_bpm=truth + 0.1 + shift
        )
        for name, truth in truths.items()
    }
    return error_part(where(**other), found)


def times(factor=1.0, names=tuple(TRUTHS), stages=STAGES, unit="ms", seed=0, **other):
    def row(factors):
        return {name: (stages[name] * factor * n,) for name, n in zip(stages, factors, strict=True)}

    noise = np.random.default_rng(seed).normal(1, 0.005, (len(names), len(stages)))
    found = {
        name: Times(
            video="0" * 12,
            stages={
                stage: (stages[stage] * factor * n,) for stage, n in zip(stages, row, strict=True)
            },
        )
        for name, row in zip(names, noise, strict=True)
    }
    return time_part(where(**other), unit, found)


def outcome(comparison, gate):
    return next(one.outcome for one in comparison.gates if one.gate == gate)


def test_the_same_again_passes():
    assert gravest(compare_errors(RULE, errors(), errors(), ALL).gates) is Outcome.PASS
    same = compare_times(RULE, times(), times(seed=1), ALL)
    assert gravest(same.gates) is Outcome.PASS and explain_changes(same) == ""


def test_larger_errors_fail_and_the_recordings_are_named():
    found = compare_errors(RULE, errors(), errors(3.0), ALL)
    assert outcome(found, ERROR_CHANGE) is Outcome.FAIL
    gate = found.gates[0]
    assert gate.baseline == pytest.approx(0.1) and gate.figure == pytest.approx(3.0)
    assert gate.interval.low > 0 and "3.10 bpm, was 0.10: +3.00 bpm (99 %:" in gate.message
    assert "s00" in explain_changes(found)


def test_few_subjects_do_not_decide():
    few = dict(list(TRUTHS.items())[:3])
    found = compare_errors(RULE, errors(truths=few), errors(3.0, few), ALL)
    assert gravest(found.gates) is Outcome.INCONCLUSIVE
    assert "more subjects would tell" in found.gates[0].message


def test_a_slower_stage_fails_and_is_named():
    slow = times(stages={**STAGES, "predict": 4.8}, seed=1)
    found = compare_times(RULE, times(), slow, ALL)
    assert outcome(found, SLOWDOWN) is Outcome.FAIL
    assert outcome(found, f"{SLOWDOWN}.predict") is Outcome.FAIL
    assert outcome(found, f"{SLOWDOWN}.decode") is Outcome.PASS
    assert found.gates[0].stage == "predict"
    assert "Look first at predict" in explain_changes(found)


def test_what_was_and_what_is_make_up_the_change():
    """With clips of unlike cost an arithmetic mean would say +19.8 %, the change being +9.5 %."""

    def of(small, large, unit="ms"):
        costs = {"a": (small, small), "b": (large, large)}
        found = {
            name: Times(video="0" * 12, stages={"predict": cost}) for name, cost in costs.items()
        }
        return time_part(where(), unit, found)

    for unit in ("ms", "minstr"):
        found = compare_times(RULE, of(1.0, 100.0, unit), of(1.0, 120.0, unit), ALL)
        (gate, *_) = found.gates
        assert gate.baseline == pytest.approx(10.0)
        assert f"10.95 {'ms' if unit == 'ms' else 'M instr'}, was 10:" in gate.message
        table = baseline_table([Against(("pi", "ubfc", "int8"), (found,))])
        console = Console(width=80, record=True, file=io.StringIO())
        console.print(table)
        (row,) = [
            line
            for line in console.export_text().splitlines()
            if f"{gate.figure:+.1f}" in line and " all " in line
        ]
        before, now = map(float, row.split()[3:5])
        if unit == "ms":
            assert 100 * (now / before - 1) == pytest.approx(gate.figure, abs=1), row
            assert gate.figure == pytest.approx(9.54, abs=0.01)
        assert "geometric mean ms or M instr" in table.title


def test_counts_are_held_tightly():
    def one(factor):
        return times(factor, stages={"predict": 17.2}, unit="minstr", names=("a",))

    more = compare_times(RULE, one(1.0), one(1.01), ALL)
    assert outcome(more, INSTRUCTIONS_ADDED) is Outcome.FAIL
    as_ever = compare_times(RULE, one(1.0), one(1.0003), ALL)
    assert gravest(as_ever.gates) is Outcome.PASS


@pytest.mark.parametrize("other", [{"kernel": "6.1"}, {"runtime": "ai_edge_litert 2.3"}])
def test_another_board_spoils_times_and_not_errors(other):
    found = compare_times(RULE, times(), times(**other), ALL)
    ((key, value),) = other.items()
    assert [one.gate for one in found.gates] == [COMPARABLE]
    assert f"{key}: {BASE[key]} -> {value}" in found.gates[0].message
    kept = compare_errors(RULE, errors(), errors(**other), ALL)
    assert gravest(kept.gates) is Outcome.PASS and kept.noted


def test_another_model_is_compared_and_shown():
    other = {"model_sha256": "b" * 64}
    found = compare_errors(RULE, errors(), errors(3.0, **other), ALL)
    assert outcome(found, ERROR_CHANGE) is Outcome.FAIL
    assert "model_sha256: aaaaaaaaaaaa... -> bbbbbbbbbbbb..." in explain_changes(found)
    slower = compare_times(RULE, times(), times(1.2, **other), ALL)
    assert outcome(slower, SLOWDOWN) is Outcome.FAIL


def test_other_labels_or_videos_are_no_comparison():
    moved = {**TRUTHS, "s03": 70.0}
    found = compare_errors(RULE, errors(), errors(truths=moved), ALL)
    assert [one.gate for one in found.gates] == [COMPARABLE]
    assert "s03: reference_bpm: 75.0 -> 70.0" in found.gates[0].message
    assert found.gates[0].outcome is Outcome.FAIL
    other = compare_errors(RULE, errors(), errors(video="1" * 12), ALL)
    assert "and 7 more" in other.gates[0].message
    units = compare_times(RULE, times(), times(unit="minstr"), ALL)
    assert "unit: ms -> minstr" in units.gates[0].message


def test_missing_renamed_and_added_recordings_fail():
    renamed = {("new" if name == "s03" else name): truth for name, truth in TRUTHS.items()}
    for found in (
        compare_errors(RULE, errors(), errors(truths=renamed), ALL),
        compare_times(RULE, times(), times(names=tuple(renamed)), ALL),
    ):
        assert outcome(found, COMPLETE) is Outcome.FAIL
        said = next(one.message for one in found.gates if one.gate == COMPLETE)
        assert "missing or renamed since the baseline: s03" in said
        assert "not in the baseline: new" in said


def test_a_missing_stage_fails_and_an_added_one_too():
    gone = compare_times(RULE, times(), times(stages={"decode": 1.5}), ALL)
    assert outcome(gone, f"{COMPLETE}.predict") is Outcome.FAIL
    added = compare_times(RULE, times(stages={"decode": 1.5}), times(), ALL)
    assert outcome(added, f"{COMPLETE}.predict") is Outcome.FAIL


def test_what_was_not_asked_for_or_is_told_elsewhere_is_not_missed():
    part = {"s01": TRUTHS["s01"]}
    asked = Asked(selected=frozenset(part))
    assert not any(
        one.gate == COMPLETE
        for one in compare_errors(RULE, errors(), errors(truths=part), asked).gates
    )
    failed = Asked(excused=frozenset(set(TRUTHS) - set(part)))
    assert not failed.missing(TRUTHS, part)


@given(st.lists(st.floats(0.9, 1.1), min_size=1, max_size=9))
def test_sessions_are_added_up_to_a_number_and_none_twice(factors):
    part = times()
    for seed, factor in enumerate(factors, start=1):
        new = times(factor, seed=seed)
        part = add_session(part, new)
        assert has_session(part, new)
    assert part.sessions == min(len(factors) + 1, SESSIONS_KEPT)
    assert not has_session(part, times(seed=99))


def test_sessions_tell_how_far_they_lie_apart():
    part = times()
    assert session_sd(RULE, part) == (RULE.session_sd_percent, EXACT)
    for seed, factor in enumerate((0.9, 1.0, 1.1), start=1):
        part = add_session(part, times(factor, seed=seed))
    seen = 100 * np.std(np.log([1.0, 0.9, 1.0, 1.1]), ddof=1)
    found, freedom = session_sd(RULE, part)
    assert found == pytest.approx(np.sqrt((4 * 1.0**2 + 3 * seen**2) / 7), rel=0.1)
    assert freedom == 7
    # A board whose sessions lie so far apart cannot be called slower by 15 %.
    unsure = compare_times(RULE, part, times(1.15, seed=9), ALL)
    assert outcome(unsure, SLOWDOWN) is Outcome.INCONCLUSIVE


def test_edited_labels_are_noticed():
    content = errors().model_dump()
    content["recordings"]["s01"]["reference_bpm"] = 61.0
    with pytest.raises(ValidationError, match="does not fit the recordings"):
        ErrorPart.model_validate(content)


def test_unequal_numbers_of_runs_are_refused():
    content = times().model_dump()
    content["recordings"]["s01"]["stages"]["predict"] = (1.0, 2.0)
    with pytest.raises(ValidationError, match="as many runs"):
        type(times()).model_validate(content)
