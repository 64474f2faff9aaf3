import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, filtfilt

from rppg_core.postprocess import (
    METHODS,
    PulseError,
    PulseSettings,
    bandpass,
    detrend,
    heart_rate,
    heart_rate_from_derivative,
    pulse_wave,
    resample_uniform,
    snr_db,
)

rates_bpm = st.floats(50, 140)
frame_rates = st.sampled_from([15.0, 20.0, 23.3, 25.0, 29.97, 30.0, 35.0, 60.0])


def sine(bpm, fps, seconds, phase=0.0):
    return np.sin(2 * np.pi * bpm / 60 * np.arange(round(seconds * fps)) / fps + phase)


class TestDetrend:
    @settings(max_examples=25)
    @given(st.integers(4, 200), st.floats(0.5, 500), st.integers(0, 2**32 - 1))
    def test_it_is_the_dense_solution(self, size, smoothing, seed):
        signal = np.random.default_rng(seed).normal(size=size).cumsum()
        second = np.diff(np.eye(size), 2, axis=0)
        trend = np.linalg.solve(np.eye(size) + smoothing**2 * second.T @ second, signal)
        assert detrend(signal, smoothing) == pytest.approx(signal - trend, abs=1e-6)

    @given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
    def test_a_straight_line_is_all_trend(self, offset, slope):
        line = offset + slope * np.arange(50.0)
        assert detrend(line) == pytest.approx(0, abs=1e-6)

    def test_three_samples_are_too_few(self):
        with pytest.raises(PulseError, match="4 are the least"):
            detrend(np.arange(3.0))


class TestBandpass:
    @pytest.mark.parametrize("fps", [15.0, 23.3, 30.0, 60.0])
    @pytest.mark.parametrize("band", [(0.75, 2.5), (0.6, 3.3)])
    def test_it_is_butterworth_both_ways(self, fps, band):
        signal = np.random.default_rng(1).normal(size=round(40 * fps))
        b, a = butter(1, band, "bandpass", fs=fps)
        expected = filtfilt(b, a, signal, padlen=round(10 * fps))
        edge = round(5 * fps)  # the ends depend on how a filter is started
        error = (bandpass(signal, fps, *band) - expected)[edge:-edge]
        assert np.abs(error).max() < 1e-3 * expected.std()

    def test_it_is_zero_phase_and_as_long_as_given(self):
        wave = sine(75, 30, 30)
        filtered = bandpass(wave, 30, 0.75, 2.5)
        assert filtered.shape == wave.shape
        assert np.argmax(np.correlate(filtered, wave, "full")) == len(wave) - 1

    @pytest.mark.parametrize("size", [4, 5, 30, 100])
    def test_short_signals_keep_their_length(self, size):
        assert np.all(np.isfinite(bandpass(np.arange(size) % 3.0, 30, 0.75, 2.5)))


class TestHeartRate:
    @settings(max_examples=60)
    @given(
        rates_bpm,
        frame_rates,
        st.floats(0, 2 * np.pi),
        st.floats(20, 60),
        st.floats(-100, 100),
        st.floats(-2, 2),
        st.floats(1e-3, 1e3),
    )
    def test_the_spectrum_finds_the_rate(self, bpm, fps, phase, seconds, offset, slope, gain):
        wave = sine(bpm, fps, seconds, phase)
        wave = gain * (wave + offset + slope * np.arange(len(wave)) / len(wave))
        assert heart_rate(wave, fps) == pytest.approx(bpm, abs=0.1)

    @settings(max_examples=40)
    @given(rates_bpm, frame_rates, st.floats(0, 2 * np.pi), st.floats(8, 20))
    def test_a_short_clip_is_within_a_beat(self, bpm, fps, phase, seconds):
        assert heart_rate(sine(bpm, fps, seconds, phase), fps) == pytest.approx(bpm, abs=1)

    @settings(max_examples=40)
    @given(rates_bpm, frame_rates, st.floats(0, 2 * np.pi), st.floats(10, 60))
    def test_peak_intervals_find_the_rate(self, bpm, fps, phase, seconds):
        found = heart_rate(sine(bpm, fps, seconds, phase), fps, method="peaks")
        assert found == pytest.approx(bpm, abs=1.5)

    @pytest.mark.parametrize("method", METHODS)
    def test_gain_and_offset_change_nothing(self, method):
        wave = sine(72, 30, 20) + 0.3 * np.random.default_rng(2).normal(size=600)
        first = heart_rate(wave, 30, method=method)
        for gain, offset in [(1e-4, 0), (1e4, 0), (-1 if method == "fft" else 2, 0), (1, 50)]:
            again = heart_rate(gain * wave + offset, 30, method=method)
            assert again == pytest.approx(first, abs=1e-6)

    def test_what_lies_outside_the_band_is_not_seen(self):
        wave = sine(80, 30, 30) + 5 * sine(170, 30, 30) + 5 * sine(30, 30, 30)
        assert heart_rate(wave, 30) == pytest.approx(80, abs=0.3)
        assert heart_rate(wave, 30, high_hz=3.3) == pytest.approx(170, abs=0.3)
        assert heart_rate(wave, 30, low_hz=0.4) == pytest.approx(30, abs=0.3)

    @pytest.mark.parametrize("bpm", [46, 149])
    @pytest.mark.parametrize("method", METHODS)
    def test_the_ends_of_the_band_belong_to_it(self, bpm, method):
        assert heart_rate(sine(bpm, 30, 30), 30, method=method) == pytest.approx(bpm, abs=0.5)

    def test_noise_does_not_move_it_far(self):
        rng = np.random.default_rng(3)
        for bpm in (55, 80, 120):
            wave = sine(bpm, 30, 30) + rng.normal(size=900)
            assert heart_rate(wave, 30) == pytest.approx(bpm, abs=0.7)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize(
        ("pulse", "fps", "reason"),
        [
            (np.zeros(600), 30, "flat"),
            (np.full(600, 1e6), 30, "flat"),
            (np.linspace(0, 9, 600), 30, "flat"),
            (np.where(np.arange(600) == 300, np.nan, sine(60, 30, 20)), 30, "finite"),
            (np.where(np.arange(600) == 300, np.inf, sine(60, 30, 20)), 30, "finite"),
            (sine(60, 30, 2), 30, "too short"),
            (np.empty(0), 30, "too short"),
            (np.zeros((600, 2)), 30, "one row"),
            (sine(60, 30, 20), 4.9, "samples a second"),
            (sine(60, 30, 20), 0, "samples a second"),
            (sine(60, 30, 20), -30, "samples a second"),
            (sine(60, 30, 20), float("nan"), "samples a second"),
            (sine(60, 30, 20), float("inf"), "samples a second"),
        ],
    )
    def test_no_rate_is_told_where_there_is_none(self, pulse, fps, reason, method):
        with pytest.raises(PulseError, match=reason) as refused:
            heart_rate(pulse, fps, method=method)
        assert "\n" not in str(refused.value)

    @pytest.mark.parametrize(
        "band", [(2.5, 0.75), (1, 1), (0, 2), (-1, 2), (0.7, float("inf")), (float("nan"), 2)]
    )
    def test_an_empty_band_is_refused(self, band):
        with pytest.raises(PulseError, match="band"):
            heart_rate(sine(60, 30, 20), 30, *band)

    def test_an_unknown_method_is_refused(self):
        with pytest.raises(PulseError, match="unknown heart-rate method 'music'; there are fft"):
            heart_rate(sine(60, 30, 20), 30, method="music")


class TestClock:
    def test_a_steady_clock_is_left_alone(self):
        values = np.random.default_rng(4).normal(size=100)
        samples, fps = resample_uniform(values, np.arange(100) / 23.3)
        assert np.array_equal(samples, values)
        assert fps == pytest.approx(23.3)

    def test_an_irregular_clock_is_evened(self):
        time_s = np.cumsum(np.random.default_rng(5).uniform(0.01, 0.06, 500))
        samples, fps = resample_uniform(np.sin(2 * time_s), time_s)
        grid_s = time_s[0] + np.arange(500) / fps
        assert samples == pytest.approx(np.sin(2 * grid_s), abs=5e-3)
        assert fps == pytest.approx(499 / (time_s[-1] - time_s[0]))

    @pytest.mark.parametrize("bad", ["back", "twice", "nan", "short", "one"])
    def test_a_clock_that_is_none_is_refused(self, bad):
        time_s = np.arange(60) / 30.0
        values = np.zeros(1 if bad == "one" else 60)
        time_s[30] = {"back": 0.5, "twice": time_s[29], "nan": np.nan}.get(bad, time_s[30])
        with pytest.raises(PulseError):
            resample_uniform(values, time_s[: {"short": 50, "one": 1}.get(bad, 60)])


def derivative_of(bpm, time_s):
    """What a model gives: the change of the pulse from frame to frame."""
    return np.diff(np.sin(2 * np.pi * bpm / 60 * time_s), prepend=0)


class TestTheWholeChain:
    @pytest.mark.parametrize("fps", [17.0, 23.3, 30.0, 60.0])
    @pytest.mark.parametrize("bpm", [52.0, 76.0, 118.0])
    @pytest.mark.parametrize("method", METHODS)
    def test_the_frame_rate_makes_no_bias(self, fps, bpm, method):
        time_s = np.arange(round(30 * fps)) / fps
        found = heart_rate_from_derivative(
            derivative_of(bpm, time_s), time_s, PulseSettings(method=method)
        )
        assert found.bpm == pytest.approx(bpm, abs=0.3)
        assert found.snr_db > 6

    @pytest.mark.parametrize("bpm", [52.0, 76.0, 118.0])
    def test_an_irregular_clock_makes_no_bias(self, bpm):
        steps = np.random.default_rng(6).uniform(0.02, 0.055, 900)
        time_s = 100 + np.cumsum(steps)
        found = heart_rate_from_derivative(derivative_of(bpm, time_s), time_s)
        assert found.bpm == pytest.approx(bpm, abs=0.3)

    def test_the_wave_follows_the_pulse_not_its_derivative(self):
        time_s = np.arange(900) / 30
        wave = pulse_wave(derivative_of(72, time_s), time_s)
        pulse = np.sin(2 * np.pi * 1.2 * time_s)
        assert np.corrcoef(wave.samples[150:-150], pulse[150:-150])[0, 1] > 0.999

    @pytest.mark.parametrize("fps", [15.0, 30.0, 60.0])
    def test_a_slow_drift_is_taken_out_at_any_frame_rate(self, fps):
        """More than a band-pass of first order can do: the drift is a hundred times the pulse."""
        time_s = np.arange(round(30 * fps)) / fps
        drift = np.diff(100 * np.sin(2 * np.pi * 0.1 * time_s), prepend=0)
        wave = pulse_wave(derivative_of(72, time_s) + drift, time_s).samples
        pulse = np.sin(2 * np.pi * 1.2 * time_s)
        middle = slice(round(5 * fps), round(25 * fps))
        assert np.corrcoef(wave[middle], pulse[middle])[0, 1] > 0.95

    def test_a_frame_rate_changes_no_amplitude(self):
        """Detrending cuts at one frequency, not at one number of frames."""
        sizes = []
        for fps in (15, 30, 60):
            time_s = np.arange(40 * fps) / fps
            wave = pulse_wave(derivative_of(50, time_s), time_s).samples
            sizes.append(wave[10 * fps : -10 * fps].std())
        assert sizes == pytest.approx([sizes[1]] * 3, rel=0.05)

    def test_a_nan_from_the_model_is_refused(self):
        time_s = np.arange(600) / 30
        derivative = derivative_of(72, time_s)
        derivative[7] = np.nan
        with pytest.raises(PulseError):
            heart_rate_from_derivative(derivative, time_s)


class TestSignalToNoise:
    def test_it_falls_as_noise_grows(self):
        noise = np.random.default_rng(7).normal(size=900)
        ratios = [snr_db(sine(72, 30, 30) + k * noise, 30, 72) for k in (0.1, 0.3, 1, 3)]
        assert ratios == sorted(ratios, reverse=True)
        assert ratios[0] > 10
        assert ratios[-1] < 0

    def test_it_is_the_power_ratio(self):
        """Two tones in the band, the wanted one with four times the power: 6 dB."""
        wave = sine(72, 30, 50) + 0.5 * sine(114, 30, 50)
        assert snr_db(wave, 30, 72) == pytest.approx(6.02, abs=0.6)

    def test_the_second_harmonic_counts_as_signal(self):
        wave = sine(60, 30, 50) + 0.5 * sine(120, 30, 50)
        assert snr_db(wave, 30, 60) > 10

    def test_it_is_finite_for_what_is_not_there(self):
        assert np.isfinite(snr_db(sine(72, 30, 50), 30, 130))


@pytest.mark.parametrize(
    "given_settings",
    [
        {"low_hz": 3.0},
        {"high_hz": -1.0},
        {"method": "peak"},
        {"window_s": 2.0},
        {"window_s": float("nan")},
        {"window_s": float("inf")},
        {"step_s": 0.0},
        {"step_s": float("nan")},
        {"step_s": float("inf")},
        {"detrend_lambda": 0.0},
        {"detrend_lambda": -1.0},
        {"detrend_lambda": float("nan")},
        {"detrend_lambda": float("inf")},
    ],
)
def test_settings_that_mean_nothing_are_refused(given_settings):
    with pytest.raises(PulseError):
        PulseSettings(**given_settings)
