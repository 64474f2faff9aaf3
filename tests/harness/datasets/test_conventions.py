"""Truths by each convention; the oracle: the contact PPG itself as a prediction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.datasets import contact_pulse
from harness.datasets.base import Signals
from harness.datasets.checking import check_recording
from harness.datasets.conventions import derive, pulse_at_frames, reference_bpm
from harness.datasets.ubfc1 import Ubfc1Dataset
from harness.datasets.ubfc2 import Ubfc2Dataset
from harness.verdicts.accuracy import HeartRateGroup, Scored, score
from rppg_core.errors import UserError
from rppg_core.postprocess import detrend, heart_rate_from_derivative

ASSUMED_FPS = 30.0


def oracle_bpm(signals, times_s=None):
    """What our post-processing makes of the contact PPG, as if a model had predicted it."""
    times_s = signals.frame_times_s if times_s is None else times_s
    kept = np.concatenate([[True], np.diff(times_s) > 0])
    ppg = signals.ppg[kept]
    return heart_rate_from_derivative(np.diff(ppg, prepend=ppg[0]), times_s[kept]).bpm


def report(root, convention, oracle=oracle_bpm):
    dataset = Ubfc2Dataset("ubfc", root, convention)
    return score(
        [
            Scored(
                one.id,
                one.subject,
                dataset.labels(one).reference_bpm,
                oracle(dataset.signals(one)),
                0.0,
            )
            for one in dataset.recordings()
        ]
    )


@pytest.fixture(scope="module")
def real(models_folder, need):
    root = models_folder / "ubfc_rppg_dataset2_labels"
    return root if root.is_dir() else need(f"no UBFC label files in {models_folder}")


def test_the_oracle_agrees_with_ppg_fft_overall_and_in_each_group(real):
    found = report(real, "ppg-fft")
    assert found.overall.n == 23
    assert found.overall.mae_bpm <= 0.1
    for group in HeartRateGroup:
        assert found.groups[group].n > 0
        assert found.groups[group].mae_bpm <= 0.1, group


def test_the_oracle_shows_what_the_wraps_do_and_that_the_repair_undoes_it(real):
    raw, repaired = (report(real, name) for name in ("hr-row", "hr-row-repaired"))
    # 72 bpm off in one recording and 26 in another, of 23.
    assert raw.overall.mae_bpm > repaired.overall.mae_bpm + 3.5
    assert raw.groups[HeartRateGroup.LOW].mae_bpm > 20
    assert repaired.groups[HeartRateGroup.LOW].mae_bpm < 5
    assert repaired.overall.mae_bpm < 3.5
    worst = {one.recording for one in raw.worst(2)}
    assert worst == {"subject11", "subject20"}


def test_an_assumed_frame_rate_is_off_by_just_that_much(real):
    dataset = Ubfc2Dataset("ubfc", real)
    slow = next(one for one in dataset.recordings() if one.id == "subject25")
    signals = dataset.signals(slow)
    truth = dataset.labels(slow).reference_bpm
    assert oracle_bpm(signals) == pytest.approx(truth, abs=0.1)
    assumed = oracle_bpm(signals, np.arange(len(signals.ppg)) / ASSUMED_FPS)
    assert assumed > truth + 15
    (rate,) = [d for d in check_recording(dataset, slow).defects if d.code == "rate"]
    assert rate.text == "23.38 fps by timestamps, nominal 30"


@pytest.mark.parametrize("bpm", [52.0, 80.0, 105.0])
def test_no_bias_at_another_frame_rate_unless_the_rate_is_assumed(bpm):
    times_s, ppg = wave(bpm, 60, 23.3)
    signals = Signals(times_s, ppg, times_s, nominal_rate_hz=30.0)
    truth = reference_bpm(signals, "ppg-fft", "it")
    assert truth == pytest.approx(bpm, abs=0.1)
    assert oracle_bpm(signals) == pytest.approx(truth, abs=0.05)
    assumed = oracle_bpm(signals, np.arange(len(ppg)) / ASSUMED_FPS)
    assert assumed / truth == pytest.approx(30 / 23.3, rel=0.005)


@pytest.mark.parametrize("bpm", [38.0, 47.0])
def test_a_strong_harmonic_is_not_taken_for_the_pulse(bpm):
    times_s, ppg = wave(bpm, 40, 30)
    ppg = ppg + 0.9 * wave(2 * bpm, 40, 30)[1]
    signals = Signals(ppg=ppg, ppg_times_s=times_s)
    assert reference_bpm(signals, "ppg-fft", "it") == pytest.approx(bpm, abs=0.5)


@settings(max_examples=30)
@given(st.integers(5, 400), st.floats(1, 1e4), st.integers(0, 9))
def test_the_compiled_detrending_is_the_estimates_own(length, smoothing, seed):
    samples = np.random.default_rng(seed).normal(size=length)
    ours = contact_pulse._detrended(samples, smoothing)
    np.testing.assert_allclose(ours, detrend(samples, smoothing), atol=1e-5)


def wave(bpm, seconds, rate_hz, start_s=0.0):
    times_s = start_s + np.arange(round(seconds * rate_hz)) / rate_hz
    return times_s, np.sin(2 * np.pi * bpm / 60 * times_s)


@pytest.mark.parametrize("bpm", [33.0, 42.0, 72.0, 160.0, 200.0, 235.0])
def test_truth_reaches_beyond_an_estimators_band(bpm):
    times_s, ppg = wave(bpm, 30, 60)
    assert reference_bpm(Signals(ppg=ppg, ppg_times_s=times_s), "ppg-fft", "it") == pytest.approx(
        bpm, abs=0.3
    )


@pytest.mark.parametrize("rate_hz", [17.0, 23.3, 30.0, 62.0, 256.0])
def test_jitter_gaps_and_repeats_leave_no_bias(rate_hz):
    rng = np.random.default_rng(5)
    times_s, _ = wave(90, 60, rate_hz)
    times_s = np.sort(times_s + rng.uniform(-0.4, 0.4, len(times_s)) / rate_hz)
    times_s[len(times_s) // 2 :] += 0.8
    ppg = np.sin(2 * np.pi * 1.5 * times_s)
    times_s[10::200] = times_s[9::200][: len(times_s[10::200])]
    signals = Signals(times_s, ppg, times_s)
    assert reference_bpm(signals, "ppg-fft", "it") == pytest.approx(90, abs=0.2)


def test_labels_are_taken_while_the_video_lasts_and_placed_by_timestamps():
    """A sensor that starts 10 s early and runs 20 s late, with another rate at those times."""
    times_s, _ = wave(60, 60, 60)
    bpm = np.where((times_s < 10) | (times_s > 40), 150.0, 72.0)
    ppg = np.sin(2 * np.pi * np.cumsum(bpm / 60) / 60)
    frames_s = np.linspace(10.2, 39.8, 700)
    signals = Signals(frames_s, ppg, times_s, bpm, times_s)
    for convention in ("ppg-fft", "hr-row", "hr-row-repaired"):
        labels = derive(signals, convention, "it")
        assert labels.reference_bpm == pytest.approx(72, abs=0.3), convention
        assert labels.convention == convention
    at_frames = pulse_at_frames(signals)
    np.testing.assert_allclose(at_frames, np.interp(frames_s, times_s, ppg))
    late = Signals(frames_s + 100, ppg, times_s, bpm, times_s)
    for convention in ("ppg-fft", "hr-row"):
        with pytest.raises(UserError, match="does not cover the video"):
            derive(late, convention, "it")


@pytest.mark.parametrize(
    ("signals", "convention", "message"),
    [
        (Signals(hr_bpm=np.array([70.0])), "ppg-fft", "no contact PPG; use another convention"),
        (Signals(ppg=np.zeros(9), ppg_times_s=np.arange(9.0)), "hr-row", "no heart-rate row"),
        (Signals(hr_bpm=np.array([70.0])), "median", "no convention 'median'; there are"),
        (
            Signals(frame_times_s=np.array([0.0, 2, 1]), hr_bpm=np.array([70.0])),
            "hr-row",
            "frame time goes back from 2 to 1 s at value 3",
        ),
        (
            Signals(ppg=np.zeros(8), ppg_times_s=np.arange(9.0)),
            "ppg-fft",
            "8 PPG values for 9 times",
        ),
        (Signals(ppg=np.ones(300), ppg_times_s=np.arange(300) / 30), "ppg-fft", "flat"),
    ],
)
def test_what_the_signals_do_not_give_is_one_line(signals, convention, message):
    with pytest.raises(UserError, match=message):
        reference_bpm(signals, convention, "it")


def test_a_convention_that_a_kind_cannot_give(tmp_path):
    class RowOnly(Ubfc1Dataset):
        conventions = ("hr-row", "hr-row-repaired")

    assert RowOnly("a", tmp_path).convention == "hr-row"
    with pytest.raises(UserError, match="has no ppg-fft; it has: hr-row, hr-row-repaired"):
        RowOnly("a", tmp_path, "ppg-fft")
