import numpy as np
import pytest

from harness.datasets import training_crops
from harness.datasets.crop_faces import CANVAS_PX, make_face
from harness.datasets.training_crops import FULL_SCALE, render_crops, write_shards
from rppg_core.errors import UserError


def test_a_seed_gives_the_same_clip_and_another_seed_another():
    first, again, other = (render_crops(seed, frames=12) for seed in ((5, 1), (5, 1), (5, 2)))
    np.testing.assert_array_equal(first.crops, again.crops)
    np.testing.assert_array_equal(first.pulse, again.pulse)
    assert not np.array_equal(first.crops, other.crops)
    assert first.crops.shape == (12, 36, 36, 3)
    assert first.crops.dtype == np.float32
    assert 0 <= first.crops.min() < first.crops.max() <= 1


def test_faces_have_skin_and_the_pulse_is_mostly_on_it():
    for seed in range(20):
        face = make_face(np.random.default_rng(seed))
        assert face.rgb.shape == (CANVAS_PX, CANVAS_PX, 3)
        assert np.isfinite(face.rgb).all()
        assert 0.05 < face.skin.mean() < 0.95
        assert face.strength.sum() / face.skin.sum() == pytest.approx(1, abs=1e-3)
        assert (face.strength * (face.skin < 0.05)).sum() < 0.1 * face.strength.sum()


def test_the_pulse_is_in_the_crops_as_blood_darkens_skin(monkeypatch):
    """With every disturbance off, brightness is the pulse turned over."""
    for name in ("MOTION_PX", "LIGHT_DRIFT", "FLICKER", "TINT", "GLOSS", "SENSOR_NOISE"):
        monkeypatch.setattr(training_crops, name, (1e-9, 2e-9))
    for name in ("REST_PX", "TURN_DEG", "NEARING", "BLINK_DEPTH", "SPEECH_DEPTH"):
        monkeypatch.setattr(training_crops, name, 0.0)
    monkeypatch.setattr(training_crops, "BLOCK_NOISE", (1e-9, 2e-9))
    monkeypatch.setattr(training_crops, "PULSE_DELAY_S", 0.0)
    for seed in range(6):
        clip = render_crops((3, seed), frames=60)
        green = clip.crops[..., 1].mean(axis=(1, 2))
        assert np.corrcoef(green, clip.pulse)[0, 1] < -0.99
        assert training_crops.BPM[0] - 1 < clip.bpm < training_crops.BPM[1] + 1
        assert clip.fps in training_crops.FPS


def test_shards_hold_the_clips_and_those_there_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(training_crops, "CLIPS_A_SHARD", 2)
    paths = write_shards(tmp_path / "shards", clips=3, seed=8, processes=1)
    assert [len(np.load(path)["fps"]) for path in paths] == [2, 1]
    with np.load(paths[1]) as stored:
        clip = render_crops((8, 2))
        np.testing.assert_allclose(stored["crops"][0] / FULL_SCALE, clip.crops, atol=1e-5)
        np.testing.assert_allclose(stored["pulse"][0], clip.pulse, rtol=1e-6)
    written = paths[0].stat().st_mtime_ns
    assert write_shards(tmp_path / "shards", clips=3, seed=8, processes=1) == paths
    assert paths[0].stat().st_mtime_ns == written


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot hold shards"):
        write_shards(tmp_path / "file", clips=1, seed=1)
