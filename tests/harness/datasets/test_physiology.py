import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.datasets.physiology import beat_wave, simulate, smooth_noise
from rppg_core.postprocess import heart_rate


def test_a_beat_has_a_systolic_peak_and_a_dicrotic_notch():
    cycle = np.linspace(0, 1, 1000, endpoint=False)
    wave, slope = beat_wave(cycle)
    assert wave.mean() == pytest.approx(0, abs=1e-6)
    assert np.ptp(wave) == pytest.approx(1, abs=1e-3)
    tops = np.flatnonzero((wave > np.roll(wave, 1)) & (wave > np.roll(wave, -1)))
    assert len(tops) == 2
    assert wave[tops[0]] - wave[tops[1]] > 0.4
    np.testing.assert_allclose(slope, np.gradient(wave, cycle), atol=0.1)


@settings(max_examples=40, deadline=None)
@given(bpm=st.floats(48, 145), seed=st.integers(0, 2**31))
def test_a_heartbeat_has_the_rate_asked_for(bpm, seed):
    beat = simulate(np.random.default_rng(seed), bpm, 600, 30)
    assert beat.bpm.mean() == pytest.approx(bpm)
    # The peak of the spectrum follows the longest stretch of one rate, not the mean.
    assert heart_rate(beat.wave, 30) == pytest.approx(bpm, abs=4)
    assert np.ptp(beat.bpm) < 20
    # Differences over two frames blunt the upstroke of a fast beat, hence no closer.
    differences = np.gradient(beat.wave, 1 / 30)
    assert np.corrcoef(beat.slope_hz, differences)[0, 1] > 0.97


def test_smooth_noise_has_unit_variance():
    noise = smooth_noise(np.random.default_rng(1), 200_000, 12)
    assert noise.std() == pytest.approx(1, abs=0.05)
    assert len(smooth_noise(np.random.default_rng(1), 1, 60)) == 1
