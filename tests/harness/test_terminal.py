"""The summary as a person reads it: complete, within its width, and safe for any terminal."""

from dataclasses import replace

import numpy as np
import pytest

from harness.reports.terminal import CaseSummary, accuracy_table, render, summary, time_table
from harness.reports.variants import Fidelity, Variant, fidelity_table
from harness.verdicts.accuracy import Scored, score
from harness.verdicts.fidelity import FidelityReport, Pair
from harness.verdicts.gates import (
    CALIBRATED_WITH,
    SHARED_SCALES,
    gate_accuracy,
    gate_latency,
    gate_quantization,
)
from harness.verdicts.latency import STAGES, RunTimes, StageTimes, measure
from harness.verdicts.outcome import GateResult, Outcome
from harness.verdicts.thresholds import Case, parse_thresholds

RULES = parse_thresholds(
    {
        "accuracy": [{"max_mae_bpm": 2, "max_group_mae_bpm": {"low": 1}, "min_mean_snr_db": 0}],
        "latency": [{"max_real_time_factor": 0.5, "max_stage_ms_per_frame": {"predict": 2}}],
        "quantization": [
            {
                "max_paired_bpm": 0.05,
                "max_lost_locks": 0,
                "max_mae_change_bpm": 0.1,
                "min_correlation": 0.995,
                "min_snr_db": 20.0,
                "max_bytes": 2_200_000,
            }
        ],
    }
)
DEPLOYED = {"local": 0, "coral": 1_234_567}


def case_summary(
    board: str = "local", dataset: str = "synthetic", synthetic: bool = True, **changes
) -> CaseSummary:
    case = Case(board, dataset, "float32")
    truth = (50.0, 62.0, 75.0, 95.0)
    scored = [Scored(f"clip{i}", "s", bpm, bpm + 0.25, 4.25) for i, bpm in enumerate(truth)]
    scored.append(Scored("clip9", "s", 140.0, 70.0, -3.0))
    # Each stage's time in ms, on every tenth frame for prediction.
    stage_ms = dict(zip(STAGES, (1.5, 0.2, 0.5, 25.0, 0.01), strict=True))
    ns = {stage: np.full(100, ms * 1e6, np.int64) for stage, ms in stage_ms.items()}
    ns["predict"][np.arange(100) % 10 != 0] = 0
    run = RunTimes("clip0", 4.0, tuple(StageTimes(stage, row) for stage, row in ns.items()))
    accuracy, latency = score(scored), measure([run])
    return CaseSummary(
        **{
            "case": case,
            "synthetic": synthetic,
            "detector": "haar",
            "model": "tscan-afrl/float32",
            "labels": "rendered pulse" if synthetic else "contact PPG by FFT",
            "heart_rate": "fft, 0.75-2.5 Hz",
            "accuracy": accuracy,
            "accuracy_gates": gate_accuracy(RULES, case, accuracy),
            "latency": latency,
            "latency_gates": gate_latency(RULES, case, latency),
            **changes,
        }
    )


def row(text: str, name: str) -> str:
    """The first line with this name in it, from there on, with single spaces."""
    line = next(" ".join(line.split()) for line in text.splitlines() if f" {name} " in line)
    return line[line.index(name) :]


def test_accuracy_has_all_recordings_and_each_group():
    text = render(accuracy_table([case_summary()]), 100)
    assert row(text, "all") == "all 5 14.20 31.31 0.455 2.8 FAIL <= 2"
    assert row(text, "low") == "low 3 0.25 0.25 1.000 4.2 pass <= 1"
    assert row(text, "middle") == "middle 0 - - - -"
    assert row(text, "high") == "high 2 35.12 49.50 - 0.6"
    assert "pass SNR >= 0" in text


def test_time_has_each_stage_their_sum_and_the_real_time_factor():
    text = render(time_table([case_summary()]), 100)
    assert row(text, "decode") == "decode 100 1.50 1.50 1.50 1.50 31.8"
    assert row(text, "predict") == "predict 10 25.0 25.0 25.0 2.50 53.1 FAIL <= 2"
    assert row(text, "all") == "all 4.71"
    assert row(text, "RTF") == "RTF 0.118 pass <= 0.5"


def test_below_the_tables_stands_where_it_all_came_from():
    cases = [case_summary(), case_summary("coral", "ubfc-rppg-2", False)]
    text = render(summary(cases, "results/tuesday", DEPLOYED), 100)
    for line in (
        "detector    haar",
        "model       tscan-afrl/float32",
        "heart rate  fft, 0.75-2.5 Hz",
        "labels      synthetic: rendered pulse; ubfc-rppg-2: contact PPG by FFT",
        "deployed    local 0 bytes, coral 1.2 MB",
        "records     results/tuesday",
        "            local / synthetic / float32: 21.8 / 77.9 / 0.3; RTF of 1 run 0.118",
    ):
        assert line in text.splitlines()


def test_synthetic_figures_are_called_so_whatever_the_dataset_is_called():
    named = case_summary(dataset="night")
    for table in (accuracy_table([named]), time_table([named])):
        assert "night (synthetic)" in render(table, 100)
    assert "no person was measured" in render(summary([named], "r", DEPLOYED), 100)
    real = render(summary([case_summary(dataset="mine", synthetic=False)], "r", DEPLOYED), 100)
    assert "synthetic" not in real


def test_a_failed_replay_shows_with_its_reason():
    failures = {"clip7": "the video\nends early"}
    broken = case_summary(
        failures=failures,
        accuracy=score([]),
        accuracy_gates=gate_accuracy(RULES, Case("local", "d", "v"), score([]), failures),
        latency=measure([]),
        latency_gates=gate_latency(RULES, Case("local", "d", "v"), measure([]), failures),
    )
    text = render(summary([broken], "r", DEPLOYED), 100)
    assert text.count("FAIL 1 failed") == 2
    assert row(text, "all") == "all 0 - - - - FAIL 1 failed"
    assert "failed      local / synthetic / float32, clip7: the video ends early" in text
    assert "nan" not in text


def test_a_gated_stage_without_times_shows_as_a_failure():
    shown = case_summary(latency=measure([]))
    shown = replace(shown, latency_gates=gate_latency(RULES, shown.case, measure([])))
    text = render(time_table([shown]), 100)
    assert "FAIL no predict" in text and "RTF - FAIL <= 0.5" in " ".join(text.split())


def test_no_rule_shows_as_a_failure():
    nothing = parse_thresholds({"accuracy": [], "latency": []})
    case, report = Case("local", "d", "v"), score([])
    shown = case_summary(accuracy_gates=gate_accuracy(nothing, case, report))
    assert "FAIL no rule" in render(accuracy_table([shown]), 100)


def test_a_table_without_figures_is_left_out():
    assert "Time" not in render(summary([case_summary(latency=None)], "r", DEPLOYED), 100)
    assert "Accuracy" not in render(summary([case_summary(accuracy=None)], "r", DEPLOYED), 100)
    assert render(summary([], "r", {}), 100) == "records  r"


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_no_line_is_wider_than_asked_for(width):
    text = render(summary([case_summary("a-board-with-a-long-name")], "r" * 150, DEPLOYED), width)
    assert max(map(len, text.splitlines())) <= width
    assert all(line == line.rstrip() for line in text.splitlines())


def test_at_80_columns_names_and_figures_stay_whole():
    text = render(summary([case_summary("coral-kitchen")], "r", DEPLOYED), 80)
    for part in ("coral-kitchen", "postprocess", "FAIL <= 2", "25.0", "1.50"):
        assert part in text
    assert "…" not in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_other_terminals_than_utf8_get_what_they_can_show(encoding):
    cases = [case_summary("küche-心")]
    text = render(summary(cases, "r", DEPLOYED), 60, encoding)
    text.encode(encoding)
    assert "k" in text and "─" not in text
    assert "─" in render(summary(cases, "r", DEPLOYED), 60)


def test_no_colour_even_where_it_is_forced(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in render(summary([case_summary()], "r", DEPLOYED), 80)


def test_names_are_text_and_no_markup():
    text = render(summary([case_summary("[red]b[/]", dataset=":x:")], "[bold]r", DEPLOYED), 100)
    assert "[red]b[/]" in text and ":x:" in text and "records     [bold]r" in text


PULSE = np.sin(np.linspace(0, 60, 600))
CLIPS = (("a", 60.0, 60.0, 60.02), ("b", 70.0, 70.0, 70.02), ("c", 100.0, 100.0, 130.0))


def held(variant: str, size: int, board: str = "local", ms: float = 2.5) -> CaseSummary:
    """A case held against a float model of 2,000,000 bytes; the high group's pulse is lost."""
    case = Case(board, "synthetic", variant)
    noise = np.random.default_rng(0).normal(size=600)
    pairs = tuple(
        Pair(*one, PULSE, PULSE + (noise if one[0] == "c" else 0.01 * noise)) for one in CLIPS
    )
    report = FidelityReport(pairs if variant != "float32" else (), size, 2_000_000)
    gates = gate_quantization(RULES, case, report)
    plain = case_summary(board)
    one = measure([timed(ms), timed(9 * ms)])
    return replace(
        plain,
        case=case,
        fidelity=Fidelity(case, True, report, gates),
        variant=Variant(case, True, size, plain.accuracy.overall, one, report, gates),
    )


def timed(ms: float) -> RunTimes:
    ns = {stage: np.full(100, int(ms * 1e6), np.int64) for stage in STAGES}
    return RunTimes("clip0", 4.0, tuple(StageTimes(stage, row) for stage, row in ns.items()))


def test_likeness_has_size_groups_and_every_gate():
    text = render(fidelity_table([held("int8", 600_000).fidelity]), 80)
    assert row(text, "low").startswith("low 2 0.020 0 +0.020 0.9999 37.")
    assert row(text, "low").endswith("pass <= 0.1")
    assert row(text, "middle") == "middle 0 - - - - -"
    assert row(text, "high").startswith("high 1 - 1 +30.000 0.5")
    assert row(text, "high").endswith("FAIL <= 0.1")
    assert row(text, "all").endswith("pass apart <= 0.05")
    for part in ("600,000 B", "= 30.0 %", "FAIL lost <= 0", "FAIL <= 0.1", "FAIL r >= 0.995"):
        assert part in text
    assert "pass SNR >= 20" in text and "pass B <= 2200000" in text


def test_how_a_model_was_made_is_judged_in_sight():
    case = Case("local", "synthetic", "int8")
    gates = (
        GateResult(SHARED_SCALES, 3.0, 0.0, Outcome.FAIL, "convolutions"),
        GateResult(CALIBRATED_WITH, 6.0, 3.0, Outcome.PASS, "recordings"),
    )
    one = held("int8", 600_000).fidelity
    text = render(fidelity_table([replace(one, case=case, gates=gates)]), 80)
    assert "FAIL shared <= 0" in text and "pass calib. >= 3" in text
    assert "…" not in text


def test_variants_stand_side_by_side_on_each_board():
    cases = [
        held(variant, size, board, ms)
        for board in ("local", "coral")
        for variant, size, ms in (("int8", 600_000, 0.5), ("float32", 2_000_000, 2.0))
    ]
    text = render(summary(cases, "r", DEPLOYED), 80)
    for board in ("local", "coral"):
        lines = text.split(f"Variants on {board}, synthetic: bpm")[1].splitlines()
        # The mean of the two replays, and the ratio of the better ones.
        first, second = (" ".join(line.split()) for line in lines[3:5])
        assert first.startswith("float32 2,000,000 100.0 14.20 2.8 - 1.250 10.0 1.0 ")
        assert second == "int8 600,000 30.0 14.20 2.8 1 0.312 2.50 4.0 4 FAIL"
    assert "float32's time in predict" in text


def test_one_variant_alone_has_no_overview():
    assert "Variants on" not in render(summary([held("int8", 1)], "r", DEPLOYED), 80)
    text = render(summary([held("float32", 2_000_000)], "r", DEPLOYED), 80)
    assert "Likeness" not in text and "Variants on" not in text


@pytest.mark.parametrize("board", ["local", "coral-kitchen"])
def test_the_forms_fit_80_columns_whole(board):
    cases = [held("float32", 2_000_000, board), held("int8-edgetpu", 2_200_001, board)]
    text = render(summary(cases, "r", DEPLOYED), 80)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    for part in ("2,200,001 B", "FAIL B <= 2200000", "int8-edgetpu", "110.0"):
        assert part in text


def test_absent_videos_and_untrusted_labels_are_said():
    absent = tuple(f"subject{n}" for n in range(1, 13))
    labels = "hr-row; 2 recordings with unrepaired defects: rppg-bench labels ubfc"
    one = case_summary(dataset="ubfc", synthetic=False, absent=absent, labels=labels)
    text = " ".join(render(summary([one], "results", {}), 100).split())
    assert "absent ubfc: no video of 12 recordings: subject1, subject2," in text
    assert "subject8, ..." in text
    assert labels in text
