"""Clips of the family: their truth is exact, and each is as hard as its name says."""

from dataclasses import replace

import av
import numpy as np
import pytest

from harness.datasets import light, motion, rendering
from harness.datasets.clips import ClipSpec
from harness.datasets.difficulty import DIFFICULTIES, PLAIN
from harness.datasets.portrait import compose
from harness.datasets.registry import open_dataset
from harness.datasets.rendering import companions, face_box, render_frames
from harness.datasets.skin import MONK_RGB
from harness.datasets.synthetic import clip_truth, render_clip
from harness.datasets.truth import TRUTH_NAME, read_truth
from rppg_core.errors import UserError
from rppg_core.faces import make_detector
from rppg_core.postprocess import bandpass
from rppg_core.video import open_source


def spec(scene=PLAIN, seconds=5.0, **changes):
    frames = round(seconds * scene.rate_hz)
    plain = ClipSpec("clip", 320, 240, frames, 5, 84.0, False, 0.01, 0.3, False, "still", scene)
    return replace(plain, **changes)


@pytest.fixture
def calm(monkeypatch):
    """The light of each scene without what is in all of them, and a head at rest."""
    for name in ("LIGHT_TILT", "LIGHT_TINT", "FLICKER"):
        monkeypatch.setattr(light, name, 0.0)
    for name, lamp in light.LAMPS.items():
        monkeypatch.setitem(light.LAMPS, name, replace(lamp, drift=0.0, steps=0.0, noise=0.5))
    for name in ("SHADING_PER_RAD", "SHADING_PER_PX"):
        monkeypatch.setattr(motion, name, 0.0)
    monkeypatch.setattr(motion, "MOTION_PX", (0.0, 0.0))
    monkeypatch.setattr(rendering, "GLOSS", 0.0)


def skin_green(clip):
    """Mean green (frames,) of the wanted face's skin, head at rest."""
    weights = compose(rendering._pose(clip), clip.width, clip.height).strength
    return np.array([(f[..., 1] * weights).sum() / weights.sum() for f in render_frames(clip)])


@pytest.mark.parametrize(
    "scene",
    [
        PLAIN,
        DIFFICULTIES["dark"].scenes[0],
        DIFFICULTIES["low-rate"].scenes[0],
        DIFFICULTIES["variable-rate"].scenes[0],
        DIFFICULTIES["several-faces"].scenes[0],
        DIFFICULTIES["skin-tones"].scenes[0],
        DIFFICULTIES["skin-tones"].scenes[-1],
    ],
    ids=["plain", "dark", "low-rate", "variable-rate", "several-faces", "monk1", "monk10"],
)
def test_the_skin_follows_the_truth_in_wave_and_phase(calm, scene):
    clip = spec(scene, pulse_amplitude=0.03)
    truth = clip_truth(clip)
    grid_s = np.arange(0, truth.time_s[-1], 1 / 30)
    seen = bandpass(np.interp(grid_s, truth.time_s, -skin_green(clip)), 30.0, 0.75, 4.0)
    wave = bandpass(np.interp(grid_s, truth.time_s, truth.pulse), 30.0, 0.75, 4.0)
    assert np.corrcoef(seen, wave)[0, 1] > 0.93
    # By the phase: the skin is late by half of the delay from forehead to chin.
    turn = np.exp(-2j * np.pi * np.interp(grid_s, truth.time_s, truth.phase_beats))
    late = np.angle((wave @ turn) / (seen @ turn)) / (2 * np.pi) / (truth.rate_bpm.mean() / 60)
    assert late == pytest.approx(rendering.PULSE_DELAY_S / 2, abs=0.008)


def test_phase_is_whole_at_the_peaks():
    truth = clip_truth(spec(seconds=20))
    whole = np.flatnonzero(np.diff(np.floor(truth.phase_beats)))
    peaks = [i for i in range(1, 599) if truth.pulse[i] == truth.pulse[max(i - 8, 0) : i + 9].max()]
    assert len(peaks) == pytest.approx(28, abs=2)
    assert all(np.abs(whole - peak).min() <= 1 for peak in peaks)
    assert np.gradient(truth.phase_beats, truth.time_s) * 60 == pytest.approx(
        truth.rate_bpm, abs=0.6
    )


@pytest.mark.parametrize("scene", DIFFICULTIES["rotated"].scenes, ids=lambda s: str(s.turned_deg))
def test_a_rotated_container_is_honoured(tmp_path, scene):
    clip = spec(scene, seconds=1)
    render_clip(clip, tmp_path)
    video = tmp_path / clip.id / scene.video_name
    upright = next(iter(render_frames(clip)))
    with open_source(video) as source:
        shown = next(iter(source)).rgb
    assert shown.shape == upright.shape
    assert np.abs(shown.astype(int) - upright).mean() < 5
    with av.open(str(video)) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert stored.shape == (upright.shape if scene.turned_deg == 180 else (320, 240, 3))
    turned = np.rot90(upright, scene.turned_deg // 90)
    assert np.abs(stored.astype(int) - turned).mean() < 5


@pytest.mark.parametrize("name", ["still", "low-rate", "variable-rate"])
def test_video_labels_and_truth_have_one_clock(tmp_path, name):
    (tmp_path / "datasets.yaml").write_text(
        f"one: {{kind: synthetic, difficulty: [{name}], clips_each: 1, seconds: 4, "
        "size: [320, 240], root: cache}\n"
    )
    dataset = open_dataset("one", tmp_path / "datasets.yaml")
    dataset.root.mkdir(parents=True)
    render_clip(dataset.clips[0], dataset.root)
    recording = dataset.recordings()[0]
    with open_source(recording.video) as source:
        container_s = np.array([frame.time_s for frame in source])
    truth, labels = read_truth(recording.video), dataset.labels(recording)
    np.testing.assert_allclose(container_s, truth.time_s, atol=2e-6)
    np.testing.assert_allclose(labels.frame_times_s, truth.time_s, atol=2e-6)
    np.testing.assert_allclose(labels.ppg, truth.pulse, atol=2e-6)
    assert (np.ptp(np.diff(container_s)) > 0.01) == (name == "variable-rate")


def test_same_spec_same_files(tmp_path):
    for scene in (PLAIN, *(DIFFICULTIES[n].scenes[-1] for n in ("rotated", "compressed"))):
        clip = spec(scene, seconds=1)
        made = []
        for name in ("a", "b"):
            root = tmp_path / f"{name}{scene.turned_deg}{scene.bitrate_kbps}"
            root.mkdir()
            render_clip(clip, root)
            made.append({p.name: p.read_bytes() for p in (root / clip.id).iterdir()})
        assert set(made[0]) == {scene.video_name, "ground_truth.txt", TRUTH_NAME}
        assert made[0] == made[1]


def test_compression_has_the_rates_it_says(tmp_path):
    for scene in DIFFICULTIES["compressed"].scenes:
        clip = spec(scene, seconds=3, id=f"at{scene.bitrate_kbps}")
        render_clip(clip, tmp_path)
        size_bytes = (tmp_path / clip.id / scene.video_name).stat().st_size
        assert size_bytes * 8 / 3000 == pytest.approx(scene.bitrate_kbps, rel=0.3)


def test_a_hidden_face_is_not_seen_while_its_pulse_goes_on():
    clip = spec(DIFFICULTIES["face-lost"].scenes[0], seconds=10)
    truth, box = clip_truth(clip), face_box(clip)
    hidden = ~truth.visible
    assert hidden.sum() == pytest.approx(2 * 30, abs=2)
    assert np.diff(hidden.astype(int)).clip(0).sum() == 1
    middle = (slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
    frames = [frame[middle].astype(float) for frame in render_frames(clip)]
    plain = spec(replace(clip.scene, hidden_s=0), seconds=10)
    others = [frame[middle].astype(float) for frame in render_frames(plain)]
    apart = np.array([np.abs(a - b).mean() for a, b in zip(frames, others, strict=True)])
    assert apart[hidden].min() > 10 * apart[:30].max() + 1
    np.testing.assert_array_equal(truth.pulse, clip_truth(plain).pulse)
    assert (np.diff(truth.phase_beats) > 0).all()


def test_of_several_faces_the_largest_has_the_pulse(calm, models_folder):
    clip = spec(DIFFICULTIES["several-faces"].scenes[0], pulse_amplitude=0.03)
    clip = replace(clip, width=640, height=480, frames=3)
    others = companions(clip)
    assert all(abs(other.bpm - clip.bpm) >= rendering.OTHER_BPM for other in others)
    files = {path.name: path for path in (models_folder / "detectors").iterdir()}
    found = make_detector("yunet", files).detect(next(iter(render_frames(clip))))
    assert len(found) == 3
    widest = max(found, key=lambda face: face.box.width).box
    truth = face_box(clip)
    assert abs(widest.x + widest.width / 2 - truth.left - truth.width / 2) < 30
    # The others' skin has other pulses.
    clip = replace(clip, width=320, height=240, frames=150)
    edge = np.array([f[20:110, :45, 1].mean() for f in render_frames(clip)])
    assert abs(np.corrcoef(bandpass(-edge, 30.0, 0.75, 4.0), clip_truth(clip).pulse)[0, 1]) < 0.5


def test_lightings_differ_as_named():
    def luma(name, **changes):
        clip = spec(DIFFICULTIES[name].scenes[-1], seconds=15, width=160, height=160, **changes)
        return np.array([frame.mean() for frame in render_frames(clip)])

    still, dark, drift, flicker = (luma(n) for n in ("still", "dark", "drift", "flicker"))
    assert dark.mean() < 0.3 * still.mean()
    assert np.ptp(drift) / drift.mean() > 2 * np.ptp(still) / still.mean()
    power = [np.abs(np.fft.rfft(v / v.mean() - 1)) ** 2 for v in (still, flicker)]
    band = slice(12, 37)  # 0.8 to 2.4 Hz
    assert power[1][band].max() > 5 * power[0][band].max()


@pytest.mark.parametrize("tone", [2, 5, 8, 10])
def test_skin_is_as_bright_as_the_tone_of_the_scale(calm, tone):
    clip = spec(DIFFICULTIES["skin-tones"].scenes[tone - 1], seconds=0.1)
    frame = next(iter(render_frames(clip))).astype(float)
    scene = compose(rendering._pose(clip), 320, 240)
    luma = np.array([0.299, 0.587, 0.114])
    seen = ((frame @ luma) * scene.strength).sum() / scene.strength.sum()
    wanted = rendering.TONE_EXPOSURE * luma @ MONK_RGB[tone - 1]
    # The camera's colour, and highlights that stay bright on dark skin.
    assert 0.88 * wanted < seen < 1.15 * wanted + 8


def test_parts_of_a_family_share_what_was_rendered(tmp_path):
    entry = "kind: synthetic, clips_each: 1, seconds: 4, size: [160, 160], root: cache"
    (tmp_path / "datasets.yaml").write_text(
        f"full: {{{entry}, set: full}}\n"
        f"night: {{{entry}, difficulty: [dark, dark-motion]}}\n"
        f"moving: {{{entry}, set: full, conditions: {{motion: moving, lighting: dark}}}}\n"
    )
    whole, night, moving = (
        open_dataset(name, tmp_path / "datasets.yaml") for name in ("full", "night", "moving")
    )
    assert [r.id for r in night.recordings()] == ["dark-1", "dark-motion-1"]
    assert [r.id for r in moving.recordings()] == ["dark-motion-1"]
    assert whole.root == night.root
    moving.prepare()
    assert [path.name for path in night.root.iterdir()] == ["dark-motion-1"]
    assert [clip.id for clip in night.missing()] == ["dark-1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "only rendered clips have a truth"),
        ("", "not a truth"),
        ("time_s,pulse\n0,1\n", "not a truth"),
        ("time_s,pulse,phase_beats,rate_bpm,visible\n0,1,x,60,1\n", "not a truth"),
        ("time_s,pulse,phase_beats,rate_bpm,visible\n0,1,1,60\n", "not a truth"),
        ("time_s,pulse,phase_beats,rate_bpm,visible\n0,1,nan,60,1\n", "a value that is none"),
        ("time_s,pulse,phase_beats,rate_bpm,visible\n0,1,1,60,2\n", "a value that is none"),
        ("\xff", "not a truth|cannot be read"),
    ],
)
def test_a_bad_truth_is_one_line(tmp_path, text, message):
    if text is not None:
        (tmp_path / TRUTH_NAME).write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=message) as raised:
        read_truth(tmp_path / "vid.avi")
    assert "\n" not in str(raised.value)
