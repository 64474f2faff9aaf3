"""Pulses from elsewhere: sampled waves, contact sensors, NeuroKit2."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.datasets import pulses
from harness.datasets.physiology import simulate_rhythm
from harness.datasets.plans import plan_clips, with_pulses
from harness.datasets.pulses import (
    CONTACT,
    NEUROKIT,
    PulseSource,
    beats_at,
    contact_stretches,
    sampled_beats,
)
from harness.datasets.ubfc2 import GroundTruth, write_ground_truth
from rppg_core.errors import UserError
from rppg_core.postprocess import heart_rate


def cycles_apart(a, b):
    """Differences of two phases but for a whole number of beats."""
    turned = a - b
    return turned - np.round(np.median(turned))


@settings(max_examples=12)
@given(st.integers(0, 2**31), st.floats(42, 178), st.sampled_from([30.0, 60.0, 250.0]))
def test_the_phase_of_a_sampled_wave_is_that_of_its_beats(seed, bpm, rate_hz):
    rhythm = simulate_rhythm(np.random.default_rng(seed), bpm, 30 * 30, 30.0)
    wave_s = np.arange(3, 27, 1 / rate_hz)
    time_s = np.arange(8, 20, 1 / 30)
    truth = rhythm.at(time_s)
    found = sampled_beats(wave_s, 37.0 + 5 * rhythm.at(wave_s).wave, time_s)
    assert np.abs(cycles_apart(found.phase_beats, truth.phase_beats)).max() < 0.08
    assert np.abs(found.bpm - truth.bpm).mean() < 0.03 * bpm
    assert np.corrcoef(found.wave, truth.wave)[0, 1] > 0.97
    assert np.ptp(found.wave) == pytest.approx(1.1, abs=0.3)
    slope = np.gradient(found.wave, time_s)
    assert np.corrcoef(slope[2:-2], found.slope_hz[2:-2])[0, 1] > 0.95


@pytest.fixture
def label_folder(tmp_path):
    """Two label files: a slow pulse with a hole in its clock, and a fast one at 23.3 fps."""
    for number, bpm, fps in ((1, 62.0, 30.0), (3, 118.0, 23.3)):
        time_s = np.arange(0, 40, 1 / fps)
        rhythm = simulate_rhythm(np.random.default_rng(number), bpm, 41 * 30, 30.0)
        wave = rhythm.at(time_s).wave * 3 + 1
        if number == 1:
            time_s = np.where(time_s > 30, time_s + 0.6, time_s)
        folder = tmp_path / f"subject{number}"
        folder.mkdir()
        rows = GroundTruth(wave, np.full(len(time_s), bpm), time_s)
        write_ground_truth(folder / "ground_truth.txt", rows)
    return tmp_path


def test_stretches_of_label_files_have_their_rate_by_their_own_clock(label_folder):
    stretches = contact_stretches(label_folder, 10.0)
    for name, bpm in (("subject1", 62), ("subject3", 118)):
        rates = [one.bpm for one in stretches if name in one.source.file]
        assert rates
        assert all(abs(rate - bpm) < 4 for rate in rates)
    ends = [one.source.start_s + 10 for one in stretches if "subject1" in one.source.file]
    assert max(ends) < 30  # none reaches over the hole


def test_a_clip_takes_the_wave_of_its_stretch(label_folder):
    chosen = next(s for s in contact_stretches(label_folder, 10.0) if "subject3" in s.source.file)
    time_s = np.arange(0, 10, 1 / 30)
    beat = beats_at(chosen.source, np.random.default_rng(0), 60.0, time_s)
    assert heart_rate(beat.wave, 30.0) == pytest.approx(chosen.bpm, abs=0.5)
    rhythm = simulate_rhythm(np.random.default_rng(3), 118.0, 41 * 30, 30.0)
    truth = rhythm.at(time_s + chosen.source.start_s)
    assert np.corrcoef(beat.wave, truth.wave)[0, 1] > 0.97


def test_the_real_label_files_have_all_groups(models_folder):
    folder = models_folder / "ubfc_rppg_dataset2_labels"
    stretches = contact_stretches(folder, 20.0)
    clips = with_pulses(plan_clips(6, 20, 1, 320, 240), CONTACT, stretches)
    for clip in clips:
        wave = clip.heartbeat().wave
        assert heart_rate(wave, 30.0) == pytest.approx(clip.bpm, abs=1.5)


@pytest.mark.parametrize(
    ("text", "message"), [(None, "no label files"), ("1 2 3\n", "1 rows instead of 3")]
)
def test_a_folder_without_label_files_is_one_line(tmp_path, text, message):
    if text is not None:
        (tmp_path / "notes.txt").write_text(text)
    with pytest.raises(UserError, match=message) as raised:
        contact_stretches(tmp_path, 10.0)
    assert "\n" not in str(raised.value)


def test_neurokit_that_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setattr(pulses, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'rppg-bench\[pulses\]'"):
        beats_at(PulseSource(NEUROKIT), np.random.default_rng(0), 60.0, np.arange(90) / 30)


def test_neurokit_pulses_have_the_rate_asked_for(need):
    if find_spec("neurokit2") is None:
        need("neurokit2 is not installed: pip install 'rppg-bench[pulses]'")
    (clip,) = with_pulses(plan_clips(1, 10, 1, 320, 240), NEUROKIT)
    for bpm in (42.0, 84.0, 176.0):
        beat = replace(clip, bpm=bpm).heartbeat()
        turned = beat.phase_beats[-1] - beat.phase_beats[0]
        assert 60 * turned / clip.times_s()[-1] == pytest.approx(bpm, rel=0.01)
        again = replace(clip, bpm=bpm).heartbeat()
        np.testing.assert_array_equal(beat.wave, again.wave)
