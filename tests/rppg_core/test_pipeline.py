import numpy as np
import pytest
from clips import (
    FPS,
    HEIGHT,
    WIDTH,
    framed,
    jittered_times,
    pulsing,
    steady_times,
    write_video,
)

from rppg_core.errors import NoFaceError, UserError
from rppg_core.pipeline import STAGES, Pipeline, Settings
from rppg_core.postprocess import PulseError, PulseSettings
from rppg_core.tracking import TrackSettings
from rppg_core.video import FrameSource, open_source

BPM = 72.0
NOBODY = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)


class Shown(FrameSource):
    """Frames that are in memory already."""

    def __init__(self, frames, times_s):
        self.pairs = list(zip(times_s, frames, strict=True))

    def _read(self):
        return iter(self.pairs)


@pytest.fixture(scope="module")
def result(haar, tscan, pulsing_clip):
    with open_source(pulsing_clip) as source:
        return Pipeline(haar, tscan).run(source)


@pytest.fixture(scope="module")
def shown(face_image):
    return list(pulsing(face_image, steady_times(12)))


def test_the_pulse_in_the_video_is_found(result):
    assert result.bpm == pytest.approx(BPM, abs=1)
    assert result.snr_db > 0
    assert result.frames == 360
    assert result.fps == pytest.approx(FPS, abs=0.01)
    assert result.duration_s == pytest.approx(12, abs=0.01)
    assert result.lost_s == 0


def test_every_frame_has_its_value_and_its_times(result):
    for row in (result.time_s, result.derivative, result.lost, *result.timings_ns.values()):
        assert row.shape == (360,)
    assert set(result.timings_ns) == set(STAGES)
    assert all(np.all(row >= 0) for row in result.timings_ns.values())
    assert np.all(result.timings_ns["decode"] > 0)
    assert np.all(result.timings_ns["preprocess"] > 0)
    for stage in ("detect", "predict", "postprocess"):
        assert result.timings_ns[stage].sum() > 0
    assert result.real_time_factor > 0
    # All frames but the first, which has none before it, come out of the model.
    assert np.count_nonzero(result.derivative) == 359


def test_pushed_frames_give_what_a_run_gives_to_the_bit(result, haar, tscan, pulsing_clip):
    pipeline = Pipeline(haar, tscan)
    estimates = {}
    with open_source(pulsing_clip) as source:
        for frame in source:
            estimates[frame.time_s] = pipeline.push(frame)
    pushed = pipeline.finish()
    assert pushed.bpm == result.bpm
    assert pushed.snr_db == result.snr_db
    assert pushed.boxes == result.boxes
    assert np.array_equal(pushed.derivative, result.derivative)
    assert np.array_equal(pushed.wave.samples, result.wave.samples)
    assert [e for e in estimates.values() if e] == pushed.windows == result.windows
    first_s = next(time_s for time_s, estimate in estimates.items() if estimate)
    assert first_s == pytest.approx(PulseSettings().window_s, abs=0.4)


def test_windows_tell_the_rate_along_the_way(result):
    pulse = PulseSettings()
    assert len(result.windows) in (2, 3)
    for window in result.windows:
        assert window.end_s - window.start_s == pytest.approx(pulse.window_s, abs=0.1)
        assert window.bpm == pytest.approx(BPM, abs=2)
        assert window.lost_s == 0
    starts = [window.start_s for window in result.windows]
    assert np.diff(starts) == pytest.approx(pulse.step_s, abs=0.4)


@pytest.mark.parametrize("frames", [150, 151, 155, 159])
def test_no_frame_is_lost_whatever_the_length(haar, tscan, shown, frames):
    times_s = steady_times(12)[:frames]
    result = Pipeline(haar, tscan).run(Shown(shown[:frames], times_s))
    assert result.frames == len(result.derivative) == frames
    assert not result.lost.any()
    assert np.all(result.derivative[1:] != 0)
    assert result.bpm == pytest.approx(BPM, abs=3)


def test_the_last_frames_agree_with_a_longer_recording(haar, tscan, shown):
    """The rest of a window is predicted with frames before it, not with made-up ones."""
    ends = {}
    for frames in (161, 156):
        times_s = steady_times(12)[:frames]
        ends[frames] = Pipeline(haar, tscan).run(Shown(shown[:frames], times_s)).derivative[151:156]
    assert np.corrcoef(ends[161], ends[156])[0, 1] > 0.8


def test_a_variable_clock_makes_no_bias(haar, tscan, tmp_path, face_image):
    times_s = 1.4 * jittered_times(8)
    clip = write_video(tmp_path / "v.mp4", pulsing(face_image, times_s), times_s=times_s)
    with open_source(clip) as source:
        found = Pipeline(haar, tscan).run(source)
    assert found.fps == pytest.approx(FPS / 1.4, rel=0.03)
    assert found.bpm == pytest.approx(BPM, abs=1.5)


def test_a_wrong_frame_rate_is_mended_by_label_times(haar, tscan, tmp_path, face_image):
    true_s = steady_times(14, fps=23.3)
    clip = write_video(tmp_path / "w.mp4", pulsing(face_image, true_s), fps=30)
    with open_source(clip, times_s=true_s) as source:
        assert Pipeline(haar, tscan).run(source).bpm == pytest.approx(BPM, abs=1)
    with open_source(clip) as source:
        assert Pipeline(haar, tscan).run(source).bpm == pytest.approx(BPM * 30 / 23.3, abs=1.5)


def test_seconds_without_a_face_are_marked(haar, tscan, shown):
    settings = Settings(track=TrackSettings(detect_every_frames=5, hold_s=0.2))
    frames = shown[:150] + [NOBODY] * 120 + shown[150:270]
    result = Pipeline(haar, tscan, settings).run(Shown(frames, steady_times(13)))
    lost = np.flatnonzero(result.lost)
    assert set(range(150, 270)) <= set(lost.tolist()), "a held box over no face is marked too"
    assert np.all((lost > 150 - 6) & (lost <= 275)), "back to the last sighting, no further"
    assert np.all(np.diff(lost) == 1)
    assert [box is None for _, box in result.boxes].count(True) == 1
    assert sum(window.lost_s for window in result.windows) > 0
    assert result.sightings < result.searches


def test_a_face_that_comes_late_is_marked_until_then(haar, tscan, shown):
    frames = [NOBODY] * 60 + shown[:150]
    result = Pipeline(haar, tscan).run(Shown(frames, steady_times(7)))
    assert result.lost[:55].all()
    assert not result.lost[75:].any()
    assert result.boxes[0] == (0, None)


def test_no_face_at_all_is_an_error(haar, tscan, faceless_clip):
    with open_source(faceless_clip) as source, pytest.raises(NoFaceError, match="no face in any"):
        Pipeline(haar, tscan).run(source)


def test_a_face_that_is_mostly_gone_is_an_error(haar, tscan, shown):
    settings = Settings(track=TrackSettings(detect_every_frames=5, hold_s=0.2))
    frames = shown[:90] + [NOBODY] * 270
    with pytest.raises(NoFaceError, match=r"missing in 7\d % of the frames"):
        Pipeline(haar, tscan, settings).run(Shown(frames, steady_times(12)))


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 9, 10, 11, 12, 30, 60])
def test_a_clip_too_short_says_so(haar, tscan, shown, frames):
    with pytest.raises(PulseError, match="short") as refused:
        Pipeline(haar, tscan).run(Shown(shown[:frames], steady_times(12)[:frames]))
    assert "\n" not in str(refused.value)


def test_a_still_picture_has_no_pulse(haar, tscan, face_image):
    with pytest.raises(PulseError, match="same picture"):
        Pipeline(haar, tscan).run(Shown([framed(face_image)] * 150, steady_times(5)))


def test_a_pipeline_without_frames_is_refused(haar, tscan):
    with pytest.raises(UserError, match="no frames"):
        Pipeline(haar, tscan).finish()


def test_one_detector_and_model_serve_many_recordings(haar, tscan, shown):
    """Nothing of one recording may reach into the next."""
    once, again = Shown(shown[:120], steady_times(4)), Shown(shown[:120], steady_times(4))
    first = Pipeline(haar, tscan).run(once)
    with pytest.raises(NoFaceError):
        Pipeline(haar, tscan).run(Shown([NOBODY] * 30, steady_times(1)))
    assert np.array_equal(Pipeline(haar, tscan).run(again).derivative, first.derivative)


class TestSettings:
    def test_they_survive_json(self):
        settings = Settings(
            track=TrackSettings(7, 0.5), enlargement=1.5, pulse=PulseSettings(low_hz=0.8)
        )
        assert Settings.from_dict(settings.to_dict()) == settings
        assert Settings.from_dict({}) == Settings()

    @pytest.mark.parametrize(
        "bad",
        [
            {"enlargment": 1},
            {"pulse": {"low": 1}},
            {"track": None},
            {"pulse": {"low_hz": "x"}},
            {"enlargement": 99},
            {"enlargement": float("nan")},
            {"enlargement": "big"},
        ],
    )
    def test_what_is_unknown_or_useless_is_refused(self, bad):
        with pytest.raises(UserError) as refused:
            Settings.from_dict(bad)
        assert "\n" not in str(refused.value)
