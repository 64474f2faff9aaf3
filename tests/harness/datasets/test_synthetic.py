import os
import time
from dataclasses import replace

import av
import cv2
import numpy as np
import pytest

from harness.datasets import light, motion, rendering, synthetic
from harness.datasets.clips import FPS, ClipSpec
from harness.datasets.encoding import encode
from harness.datasets.plans import DEFAULT_SEED, plan_clips
from harness.datasets.portrait import compose
from harness.datasets.registry import open_dataset
from harness.datasets.rendering import face_box, render_frames
from harness.datasets.synthetic import SyntheticDataset, render_clip
from rppg_core.errors import UserError
from rppg_core.faces import make_detector
from rppg_core.postprocess import bandpass, heart_rate

LIGHT = ("LIGHT_TILT", "LIGHT_TINT", "FLICKER")
SHADING = ("SHADING_PER_RAD", "SHADING_PER_PX")


def spec(**changes) -> ClipSpec:
    still = ClipSpec("subject1", 640, 480, 90, 5, 72.0, False, 0.006, 0.3, False)
    return replace(still, **changes)


@pytest.fixture
def calm(monkeypatch):
    """Even light and a head at rest: what is left is the pulse and the sensor's noise."""
    for name in LIGHT:
        monkeypatch.setattr(light, name, 0.0)
    monkeypatch.setitem(light.LAMPS, "even", light.Lamp(drift=0.0))
    for name in SHADING:
        monkeypatch.setattr(motion, name, 0.0)
    monkeypatch.setattr(motion, "MOTION_PX", (0.0, 0.0))
    monkeypatch.setattr(rendering, "GLOSS", 0.0)


def skin_means(frames, clip):
    """Mean (frames, 3) of the pulsing skin of a head at rest."""
    weights = compose(rendering._pose(clip), clip.width, clip.height).strength[..., None]
    return np.array([(frame * weights).sum(axis=(0, 1)) / weights.sum() for frame in frames])


def decoded(path):
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def test_the_same_spec_gives_the_same_frames():
    small = spec(width=320, height=240, frames=4, moving=True)
    first, again = (np.stack(list(render_frames(small))) for _ in range(2))
    assert first.shape == (4, 240, 320, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    for changed in ({"seed": 6}, {"moving": False}, {"skin_tone": 0.6}, {"mirrored": True}):
        assert (np.stack(list(render_frames(replace(small, **changed)))) != first).any(), changed


def test_pulse_has_the_amplitude_and_colour_asked_for(calm):
    clip = spec()
    means = skin_means(render_frames(clip), clip)
    wave = clip.heartbeat().wave
    absorbed = -(means / means.mean(axis=0) - 1).T @ wave / (wave @ wave)
    assert absorbed[1] == pytest.approx(clip.pulse_amplitude, rel=0.1)
    np.testing.assert_allclose(absorbed / absorbed[1], [0.43, 1.0, 0.69], atol=0.06)


def test_pulse_is_in_the_skin_alone(calm):
    clip = spec()
    strength = compose(rendering._pose(clip), clip.width, clip.height).strength
    wave = clip.heartbeat().wave
    greens = [frame[..., 1] for frame in render_frames(clip)]
    for place, least, most in ((strength > 0.8, 0.9, 1.5), (strength == 0, -0.02, 0.02)):
        mean = np.array([green[place].mean() for green in greens])
        absorbed = -(mean / mean.mean() - 1) @ wave / (wave @ wave)
        assert least < absorbed / clip.pulse_amplitude < most


def test_pulse_survives_encoding(calm, tmp_path):
    clip = spec(pulse_amplitude=0.004, frames=180)
    encode(render_frames(clip), tmp_path / "vid.avi", clip.times_s(), face_box(clip))
    means = skin_means(decoded(tmp_path / "vid.avi"), clip)
    assert len(means) == clip.frames
    wave = clip.heartbeat().wave
    for channel in range(3):
        seen = -bandpass(means[:, channel], FPS, 0.75, 2.5)
        assert np.corrcoef(seen, bandpass(wave, FPS, 0.75, 2.5))[0, 1] > 0.9
    assert heart_rate(-means[:, 1], FPS) == pytest.approx(heart_rate(wave, FPS), abs=0.5)
    assert (tmp_path / "vid.avi").stat().st_size < 200_000 * clip.frames / FPS


def test_disturbances_hide_the_pulse_from_a_mean_over_the_frame():
    clips = [replace(c, frames=300) for c in plan_clips(6, 10, 3, 320, 240)]
    missed = 0
    for clip in clips:
        green = np.array([frame[..., 1].mean() for frame in render_frames(clip)])
        missed += abs(heart_rate(green, FPS) - heart_rate(clip.heartbeat().wave, FPS)) > 3
    assert missed >= 4


@pytest.mark.parametrize("name", ["haar", "resnet10-ssd", "yunet", "blazeface"])
def test_detectors_find_the_face_where_it_is(name, request):
    files = {}
    if name != "haar":
        folder = request.getfixturevalue("models_folder") / "detectors"
        files = {path.name: path for path in folder.iterdir()}
    detector = make_detector(name, files)
    for planned in plan_clips(4, 4, 11, 640, 480):
        clip = replace(planned, frames=3, moving=True)
        truth = face_box(clip)
        for frame in render_frames(clip):
            face = max(detector.detect(frame), key=lambda found: found.score).box
            assert abs(face.x + face.width / 2 - truth.left - truth.width / 2) < 30
            assert abs(face.y + face.height / 2 - truth.top - truth.height / 2) < 60
            assert 110 < face.width < 260


def test_plan_covers_the_groups_clear_of_their_boundaries():
    clips = plan_clips(12, 20, DEFAULT_SEED, 640, 480)
    truths = [heart_rate(clip.heartbeat().wave, FPS) for clip in clips]
    for rates in (truths, [clip.bpm for clip in clips]):
        counts = [
            sum(low <= r < high for r in rates) for low, high in ((0, 77), (77, 90), (90, 999))
        ]
        assert counts == [4, 4, 4]
        assert all(abs(rate - edge) >= 1.5 for rate in rates for edge in (77, 90))
        assert min(rates) >= 48
        assert max(rates) <= 145
    assert sum(clip.moving for clip in clips) == 6
    assert len({clip.seed for clip in clips}) == 12
    assert all(0.003 <= clip.pulse_amplitude <= 0.01 for clip in clips)


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / "datasets.yaml").write_text(
        "tiny: {kind: synthetic, root: cache, clips: 2, seconds: 4, size: [320, 240]}\n"
    )
    return open_dataset("tiny", tmp_path / "datasets.yaml")


def test_prepare_renders_once_and_labels_are_exact(tiny):
    recordings = tiny.recordings()
    with pytest.raises(UserError, match="not rendered"):
        tiny.labels(recordings[0])
    calls = []
    tiny.prepare(lambda *call: calls.append(call))
    assert [call[:2] for call in calls] == [(1, 2), (2, 2)]
    assert {call[2] for call in calls} == {"subject1", "subject2"}
    for recording, clip in zip(recordings, tiny.clips, strict=True):
        labels = tiny.labels(recording)
        assert labels.reference_bpm == pytest.approx(clip.bpm, abs=5)
        np.testing.assert_allclose(labels.ppg, clip.heartbeat().wave, atol=1e-6)
        assert sum(1 for _ in decoded(recording.video)) == clip.frames == 120
        assert cv2.VideoCapture(str(recording.video)).get(cv2.CAP_PROP_FPS) == FPS
    before = recordings[0].video.stat()
    tiny.prepare(lambda *call: pytest.fail("nothing was left to render"))
    assert recordings[0].video.stat() == before


def test_an_interrupted_render_leaves_nothing_and_is_done_again(tmp_path, monkeypatch):
    clip = spec(width=320, height=240, frames=6)
    dataset = SyntheticDataset("one", tmp_path, [clip])
    dataset.root.mkdir()

    def stop_midway(of):
        frames = list(render_frames(of))
        yield from frames[:3]
        # What a killed process has on disk at this moment:
        assert not (dataset.root / clip.id).exists()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(synthetic, "render_frames", stop_midway)
        with pytest.raises(KeyboardInterrupt):
            render_clip(clip, dataset.root)
    assert list(dataset.root.iterdir()) == []
    assert dataset.missing() == [clip]
    render_clip(clip, dataset.root)
    assert dataset.missing() == []
    render_clip(clip, dataset.root)  # a second process that comes too late does no harm
    assert [path.name for path in dataset.root.iterdir()] == [clip.id]


def test_abandoned_partial_folders_are_removed(tmp_path):
    old, young = tmp_path / ".partial-old", tmp_path / ".partial-young"
    for path in (old, young):
        path.mkdir()
    os.utime(old, (time.time() - 7200,) * 2)
    synthetic._remove_abandoned(tmp_path)
    assert not old.exists()
    assert young.exists()


def test_other_parameters_are_another_folder(tmp_path):
    plans = [plan_clips(2, seconds, seed, 320, 240) for seconds, seed in ((4, 1), (5, 1), (4, 2))]
    roots = {SyntheticDataset("a", tmp_path, plan).root for plan in plans}
    assert len(roots) == 3
    assert SyntheticDataset("b", tmp_path, plans[0]).root in roots


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert synthetic.default_root() == tmp_path / "rppg-bench" / "synthetic"
    monkeypatch.setenv("HOME", str(tmp_path))
    for unusable in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", unusable)
        assert synthetic.default_root() == tmp_path / ".cache" / "rppg-bench" / "synthetic"


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    dataset = SyntheticDataset("one", tmp_path / "file", [spec()])
    with pytest.raises(UserError, match="cannot render into"):
        dataset.prepare()
