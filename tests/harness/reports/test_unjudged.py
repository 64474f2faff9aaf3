"""What could not be measured is told, and nothing passes by what is left."""

import copy

import pytest
from made_records import make_record, write_records

from harness.cli import main as rppg_bench
from harness.hops import hops_of
from harness.references import judge_memory, judge_reference
from harness.replays import CaseRun, failures_of_both, likeness, load_cases
from harness.reports.markdown import markdown_text
from harness.reports.page.content import judged_cases
from harness.reports.plain_words import headline
from harness.run_file import RunFile, write_run
from harness.verdicts.accuracy import score
from harness.verdicts.explain import explain_accuracy
from harness.verdicts.gates import (
    REPLAYED,
    SPOILT,
    gate_accuracy,
    gate_ended,
    gate_quantization,
    gate_spoilt,
    gate_sustained,
)
from harness.verdicts.hops import verdict
from harness.verdicts.outcome import Outcome, gravest
from harness.verdicts.realtime import Minute, SustainedRun
from harness.verdicts.thresholds import Case, parse_thresholds

COUNT = 6
HOSTILE = "<img src=x> [x](https://evil.example) @team\n::error::x\x1b[31m"
THRESHOLDS = parse_thresholds(
    {
        "accuracy": [{"max_mae_bpm": 5.0}],
        "latency": [{"max_real_time_factor": 1.0, "max_delay_p99_ms": 250.0}],
        "quantization": [{"max_lost_locks": 0}],
        "memory": [{"max_peak_memory_bytes": 300_000_000, "max_peak_memory_ratio": 1.25}],
    }
)
THROTTLED = {"valid": False, "reasons": ["throttled"], "spoilt_before": []}


def made(count=COUNT, **more):
    return [
        {**make_record(f"s{n}", 60.0 + 4 * n, **more), "peak_memory_bytes": 100_000_000}
        for n in range(count)
    ]


def stored(folder, rows):
    return load_cases(write_records(folder, *rows))[0]


def cut(run, board="local", variant="float32", replays=None, failures=None):
    here = run.replays if replays is None else replays
    return CaseRun(Case(board, run.case.dataset, variant), True, here, failures or {}, 0)


@pytest.mark.parametrize(
    ("spoilt", "outcome"),
    [(0, None), (1, Outcome.PASS), (2, Outcome.INVALID), (12, Outcome.INVALID)],
)
def test_speed_is_not_judged_by_the_few_that_were_not_spoilt(spoilt, outcome):
    found = gate_spoilt({f"s{n}": "throttled" for n in range(spoilt)}, 12 - spoilt)
    assert [one.outcome for one in found] == ([] if outcome is None else [outcome])
    assert all(f"{spoilt} of 12 recordings" in one.message for one in found)
    assert all(one.gate == SPOILT for one in found)


def test_the_headline_tells_what_was_not_judged_and_what_never_ended(tmp_path):
    run = stored(tmp_path, made())
    passed = gate_accuracy(THRESHOLDS, run.case, score(run.scored), run.failures)
    spoilt = gate_spoilt({"s0": "throttled"}, 0)
    lost = Case("coral01", "made", "float32")
    kept = RunFile("2026-01-01T00:00:00+00:00", gates={run.case: (*passed, *spoilt)})
    assert headline(judged_cases(kept)) == "Accuracy holds. Speed could not be judged."
    kept = RunFile("x", gates={run.case: passed, lost: (gate_ended("coral01: unreachable"),)})
    assert headline(judged_cases(kept)) == "Accuracy holds. Completeness does not hold."
    assert gravest(kept.gates[lost]) is Outcome.FAIL


def test_a_case_that_did_not_end_is_partial_even_with_all_its_records(tmp_path):
    folder = write_records(tmp_path, *made())
    case = load_cases(folder)[0].case
    write_run(folder, RunFile("x", gates={case: (gate_ended("gone"),)}, planned={case: COUNT}))
    assert load_cases(folder)[0].partial == "cut off"


def test_a_replay_that_died_without_a_record_fails_memory_and_likeness(tmp_path):
    folder = tmp_path / "ref"
    whole = stored(folder, made())
    dead = {one.recording: "local: out of memory" for one in whole.replays[1:]}
    left = cut(whole, replays=whole.replays[:1], failures=dead)
    for found in (
        judge_memory(left, THRESHOLDS, [folder]),
        judge_reference(left, THRESHOLDS, [folder]),
    ):
        assert found[0].gate == REPLAYED and found[0].figure == COUNT - 1
        assert gravest(found) is Outcome.FAIL
    assert gravest(judge_memory(whole, THRESHOLDS, [folder])) is Outcome.PASS


def test_a_minute_without_a_heart_rate_is_the_worst_of_all():
    def minute(number, delay_ms):
        return Minute(
            number, 60.0, 1800, 0.9, dropped=0, missed=0, backlog_max=3, delay_p99_ms=delay_ms
        )

    case = Case("local", "made", "float32")
    for delays, outcome in (((100.0, 120.0), Outcome.PASS), ((100.0, None), Outcome.FAIL)):
        run = SustainedRun("s1", 2, tuple(minute(n, one) for n, one in enumerate(delays, 1)))
        found = {one.gate: one for one in gate_sustained(THRESHOLDS, case, [run])}
        assert found["delay_p99_ms.worst_minute"].outcome is outcome


def test_hops_on_which_nothing_was_compared_are_named(tmp_path, capsys):
    whole = stored(tmp_path / "whole", made())
    chain = [
        cut(whole, replays=whole.replays[:3]),
        cut(whole, variant="int8", replays=whole.replays[:3]),
        cut(whole, "coral01", "int8", whole.replays[3:]),
    ]
    assert "Nothing was compared from local int8 -> coral01 int8" in verdict(hops_of(chain))
    rows = [make_record(f"s{n}", 70.0, fails=True) for n in range(3)]
    for board, variant in (("local", "float32"), ("local", "int8"), ("coral01", "int8")):
        again = copy.deepcopy(rows)
        for one in again:
            one["campaign"].update(board=board, variant=variant)
        write_records(tmp_path / "failed", *again)
    assert rppg_bench(["hops", str(tmp_path / "failed")]) == 1
    assert "Nothing was compared" in capsys.readouterr().out


def test_comparing_says_that_times_are_invalid_and_does_not_judge_them(tmp_path, capsys):
    slow = made()
    for one in slow:
        rows = one["result"]["timings_ns"]
        one["result"]["timings_ns"] = {k: [9 * ns for ns in v] for k, v in rows.items()}
    for one in slow[1:]:
        one["timing"] = THROTTLED
    old, new = write_records(tmp_path / "old", *made()), write_records(tmp_path / "new", *slow)
    assert rppg_bench(["compare", str(old), str(new)]) == 0
    said = capsys.readouterr().out
    assert "spoilt in the new one: 5 of 6 recordings: throttled" in said
    assert "1 invalid, 6 not decided, 3 as good" in said
    for one in slow:
        one["timing"] = THROTTLED
    both = write_records(tmp_path / "both", *slow)
    assert rppg_bench(["compare", str(both), str(both)]) == 0
    assert "spoilt in the old one: 6 of 6 recordings: throttled" in capsys.readouterr().out


def test_comparing_says_which_case_is_gone(tmp_path, capsys):
    old = write_records(tmp_path / "old", *made(), *made(variant="int8"))
    new = write_records(tmp_path / "new", *made())
    assert rppg_bench(["compare", str(old), str(new)]) == 0
    said = capsys.readouterr().out
    assert "local / made / int8" in said and "not among the new ones" in said
    assert rppg_bench(["compare", str(new), str(old)]) == 0
    assert "not among" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "says", "silent"),
    [
        (
            lambda one: one["campaign"].update(video="b" * 12),
            "error: not comparable: other videos of the same name (s0, s1, s2 and 3 more)",
            "all stages",
        ),
        (
            lambda one: one.update(pace="realtime"),
            "time: not comparable: other pace: fast -> realtime",
            "all stages",
        ),
        (lambda one: one.update(detector="yunet"), "made with: detector: haar -> yunet", None),
    ],
)
def test_comparing_says_what_was_not_measured_alike(tmp_path, capsys, change, says, silent):
    def full():
        host = {"machine": "x", "kernel": "6", "python": "3", "numpy": "2", "opencv": "4"}
        rows = made()
        for one in rows:
            one.update(host=host, model={"name": "m/float32", "sha256": "0" * 64}, pace="fast")
            one["campaign"].update(processor="p", delegate="none", video="a" * 12)
        return rows

    other = full()
    for one in other:
        change(one)
    old, new = write_records(tmp_path / "old", *full()), write_records(tmp_path / "new", *other)
    rppg_bench(["compare", str(old), str(new)])
    said = capsys.readouterr().out
    assert says in said
    assert silent is None or silent not in said


def test_what_float32_lost_is_not_left_out_of_its_likeness(tmp_path):
    whole = stored(tmp_path, made())
    lost = {one.recording: "crashed" for one in whole.replays[1:]}
    left = cut(whole, replays=whole.replays[:1], failures=lost)
    report, failures = likeness(whole, left), failures_of_both(whole, left)
    assert len(report.pairs) == 1 and failures == dict.fromkeys(lost, "float32: crashed")
    gates = gate_quantization(THRESHOLDS, whole.case, report, failures)
    assert [one.figure for one in gates if one.gate == REPLAYED] == [COUNT - 1]
    assert gravest(gates) is Outcome.FAIL


@pytest.mark.parametrize("command", ["compare", "targets"])
def test_names_are_text_in_markdown(tmp_path, capsys, command):
    rows = [{**one} for one in made(4, dataset=HOSTILE)]
    gone = [make_record(f"{HOSTILE} {n}", 60.0 + 4 * n, fails=True) for n in range(4)]
    there = [make_record(f"{HOSTILE} {n}", 60.0 + 4 * n) for n in range(4)]
    if command == "compare":
        runs = [write_records(tmp_path / "a", *there), write_records(tmp_path / "b", *gone)]
    else:
        runs = [write_records(tmp_path / "a", *rows)]
    more = ["--no-picture"] if command == "targets" else []
    rppg_bench([command, *map(str, runs), "--format", "markdown", *more])
    said = capsys.readouterr().out
    assert "evil.example" in said
    for live in ("<img", "[x](", "@team", "\x1b", "\n::error"):
        assert live not in said


def test_names_are_one_line_in_a_tests_message():
    case = Case("local", "made", "float32")
    failures = {HOSTILE: "no face", "s2": "no face"}
    gates = gate_accuracy(THRESHOLDS, case, score([]), failures)
    said = explain_accuracy(case, score([]), gates, failures)
    assert "\x1b" not in said and "\n::error" not in said and "\\n::error" in said


def test_markdown_text_says_the_same():
    assert markdown_text("a_b *c* <d>") == "a\\_b \\*c\\* &lt;d&gt;"
