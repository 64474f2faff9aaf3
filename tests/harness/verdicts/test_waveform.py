"""The pulse wave against the true one: perfect, late, noisy, and unrelated."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.datasets.physiology import simulate
from harness.verdicts.waveform import waveform_error
from rppg_core.postprocess import PulseSettings, PulseWave, bandpass

FPS, PULSE = 30.0, PulseSettings()
TIMES_S = np.arange(600) / FPS


def truth(bpm: float = 72.0, seed: int = 1) -> np.ndarray:
    return simulate(np.random.default_rng(seed), bpm, 600, FPS).wave


def estimate(wave: np.ndarray, late_s: float = 0.0) -> PulseWave:
    shifted = np.interp(TIMES_S - late_s, TIMES_S, wave)
    return PulseWave(bandpass(shifted, FPS, PULSE.low_hz, PULSE.high_hz), FPS, 0.0)


def test_the_true_wave_itself_has_no_error():
    found = waveform_error(estimate(truth()), truth(), TIMES_S, PULSE)
    assert found.correlation == pytest.approx(1)
    assert found.lag_s == pytest.approx(0, abs=1e-3)
    assert found.phase_error_deg < 0.01


@example(0.125, 120.0, 1.0, 0.0)  # a beat earlier it fits about as well
@given(st.floats(-0.3, 0.3), st.floats(55, 130), st.floats(0.1, 100), st.floats(-5, 5))
def test_a_late_or_scaled_wave_is_late_and_nothing_else(late_s, bpm, scale, offset):
    late = min(late_s, 25 / bpm, key=abs) if late_s > 0 else max(late_s, -25 / bpm)
    found = waveform_error(estimate(truth(bpm), late), scale * truth(bpm) + offset, TIMES_S, PULSE)
    assert found.lag_s == pytest.approx(late, abs=0.01)
    assert found.correlation > 0.95  # half a frame is 13 degrees of 130 bpm
    assert found.phase_error_deg < 15


def test_noise_costs_correlation_and_phase():
    rng, wave = np.random.default_rng(0), truth()
    noisy = [
        waveform_error(estimate(wave + level * rng.standard_normal(600)), wave, TIMES_S, PULSE)
        for level in (0.1, 0.6, 3.0)
    ]
    assert noisy[0].correlation > noisy[1].correlation > noisy[2].correlation
    assert noisy[0].phase_error_deg < noisy[1].phase_error_deg < noisy[2].phase_error_deg


def test_an_unrelated_wave_is_found_out():
    found = waveform_error(estimate(truth(124.0, seed=2)), truth(58.0), TIMES_S, PULSE)
    assert found.correlation < 0.4
    assert found.phase_error_deg > 80


def test_nothing_to_compare_is_no_figure():
    wave = estimate(truth())
    assert waveform_error(wave, np.zeros(600), TIMES_S, PULSE) is None
    assert waveform_error(wave, truth(), TIMES_S + 100, PULSE) is None
    assert waveform_error(PulseWave(np.zeros(600), FPS, 0.0), truth(), TIMES_S, PULSE) is None
    short = PulseWave(wave.samples[:60], FPS, 0.0)
    assert waveform_error(short, truth(), TIMES_S, PULSE) is None
