"""The truth beside a record: of each window, by the convention in use, and none that is made up."""

import numpy as np
import pytest

from harness.datasets.signals import Signals
from harness.verdicts.windows import PLANS, spans
from harness.window_truth import truth_block

TIMES_S = np.arange(40 * 30) / 30


def rates(block, length_s: float) -> list[float | None]:
    return [bpm for start, end, bpm in block["windows"] if end - start == pytest.approx(length_s)]


def signals(bpm_early: float, bpm_late: float, **more) -> Signals:
    """A PPG at 60 Hz that changes its rate half-way; a row that says the same once a second."""
    clock = np.arange(40 * 60) / 60
    bpm = np.where(clock < 20, bpm_early, bpm_late)
    row_s = np.arange(40.0)
    kept = {
        "ppg": np.sin(2 * np.pi * np.cumsum(bpm / 60) / 60),
        "ppg_times_s": clock,
        "hr_bpm": np.where(row_s < 20, bpm_early, bpm_late),
        "hr_times_s": row_s,
        **more,
    }
    return Signals(**kept)


@pytest.mark.parametrize("convention", ["ppg-fft", "hr-row", "hr-row-repaired"])
def test_a_window_has_the_rate_that_was_true_in_it(convention):
    found = rates(truth_block(signals(60, 66), convention, TIMES_S), 10)
    assert len(found) == 31
    assert found[0] == pytest.approx(60, abs=0.3)
    assert found[-1] == pytest.approx(66, abs=0.3)


def test_rows_are_those_of_the_plans():
    block = truth_block(signals(60, 66), "ppg-fft", TIMES_S)
    expected = [span for plan in PLANS for span in spans(TIMES_S, plan)]
    assert [(start, end) for start, end, _ in block["windows"]] == expected


def test_a_wrap_damages_only_the_raw_row_even_in_windows_that_are_wrapped_throughout():
    row = np.where(np.arange(40) < 20, 126.0, 2.0)  # 130 sent in seven bits
    wrapped = signals(126, 130, hr_bpm=row)
    mended = rates(truth_block(wrapped, "hr-row-repaired", TIMES_S), 10)
    assert mended[-1] == pytest.approx(130)
    assert rates(truth_block(wrapped, "hr-row", TIMES_S), 10)[-1] is None


def test_a_window_that_the_labels_do_not_cover_has_none():
    whole = signals(60, 66)
    cut = Signals(ppg=whole.ppg[:1500], ppg_times_s=whole.ppg_times_s[:1500])  # 25 s
    found = rates(truth_block(cut, "ppg-fft", TIMES_S), 10)
    assert found[15] == pytest.approx(61.5, abs=6)
    assert found[20:] == [None] * 11


@pytest.mark.parametrize(
    "told",
    [
        Signals(hr_bpm=np.array([70.0])),
        Signals(),
        Signals(ppg=np.sin(np.arange(900.0)), ppg_times_s=1e6 + np.arange(900) / 30),
    ],
)
def test_without_times_on_the_frames_clock_there_is_nothing(told):
    convention = "hr-row" if told.hr_bpm is not None else "ppg-fft"
    assert truth_block(told, convention, TIMES_S) == {"windows": None, "pulse": None}


def test_the_true_pulse_is_kept_at_the_frames_times():
    block = truth_block(signals(60, 60), "ppg-fft", TIMES_S)
    wave = np.array(block["pulse"]["samples"])
    assert wave.shape == TIMES_S.shape
    assert np.ptp(wave) == pytest.approx(1, abs=0.01)
    expected = np.sin(2 * np.pi * TIMES_S)
    assert np.corrcoef(wave, expected)[0, 1] > 0.98


def test_a_replay_that_failed_has_no_windows():
    assert truth_block(signals(60, 60), "ppg-fft", np.empty(0)) == {"windows": None, "pulse": None}
