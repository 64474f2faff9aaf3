import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="training needs TensorFlow (extra 'lightening')")

import tensorflow
import tscan_numpy

from rppg_core.errors import UserError
from rppg_core.lightening.batches import batches
from rppg_core.lightening.pulse_loss import band_basis, pulse_loss
from rppg_core.lightening.shards import find_shards
from rppg_core.lightening.train import (
    HISTORY,
    PLOT,
    TrainSettings,
    initial_weights,
    shift_windows,
    train,
)
from rppg_core.lightening.tscan_keras import tscan
from rppg_core.lightening.weights import SHAPES, load_npz

pytestmark = pytest.mark.lightening

SETTINGS = TrainSettings(
    steps=4, clips_a_step=1, windows_a_clip=2, validate_every=2, learning_rate=0.2
)
FULL_SCALE = 65535


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Two shards of pictures that brighten and darken as a pulse has it."""
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(3)
    for number in range(2):
        time_s = np.arange(21) / 30
        pulse = np.sin(2 * np.pi * (rng.uniform(1, 2, (4, 1)) * time_s + rng.uniform(size=(4, 1))))
        light = 0.5 - 0.01 * pulse[..., None, None, None] * np.array([0.4, 1.0, 0.7])
        crops = light * rng.uniform(0.5, 1, (4, 1, 36, 36, 3))
        crops += rng.normal(0, 0.001, (4, 21, 36, 36, 3))
        stored = np.round(np.clip(crops, 0, 1) * FULL_SCALE).astype(np.uint16)
        path = folder / f"shard-{number}.npz"
        np.savez(path, crops=stored, pulse=pulse.astype(np.float32), fps=np.full(4, 30.0))
    return folder


@pytest.fixture(scope="module", autouse=True)
def eagerly():
    """A few steps are over before a graph of them would be built."""
    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def whole_run(shards, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    return out, train(shards, out, shards, SETTINGS, compiled=False)


def test_a_run_learns_and_leaves_weights_and_a_curve(whole_run):
    out, weights_path = whole_run
    weights = load_npz(weights_path)
    assert weights.keys() == SHAPES.keys()
    for name, start in initial_weights(SETTINGS.seed).items():
        assert not np.array_equal(weights[name], start.astype(np.float16)), name
    assert (out / PLOT).read_bytes().startswith(b"\x89PNG")
    assert (out / HISTORY).is_file()


def test_a_run_cut_short_goes_on_to_the_same_weights(whole_run, shards, tmp_path):
    train(shards, tmp_path, shards, SETTINGS, stop_after=2, compiled=False)
    resumed = load_npz(train(shards, tmp_path, shards, SETTINGS, compiled=False))
    for name, value in load_npz(whole_run[1]).items():
        np.testing.assert_allclose(resumed[name], value, atol=5e-4, err_msg=name)
    with pytest.raises(UserError, match="other settings"):
        train(shards, tmp_path, shards, TrainSettings(steps=7))


def test_no_shards_is_one_line(tmp_path, shards):
    with pytest.raises(UserError, match=r"no \.npz shards"):
        train(tmp_path, tmp_path / "out", shards)
    (tmp_path / "bad.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match="not a shard"):
        train(tmp_path, tmp_path / "out", tmp_path)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"learning_rate": 2.0}])
def test_settings_without_meaning_are_refused(wrong):
    with pytest.raises(UserError):
        TrainSettings(**wrong)


def test_windows_trained_together_are_those_exported_alone(random_weights):
    rng = np.random.default_rng(4)
    motion = rng.normal(size=(30, 36, 36, 3)).astype(np.float32)
    appearance = rng.normal(size=(3, 36, 36, 3)).astype(np.float32)
    together = tscan(random_weights, shift=shift_windows, windows=3)
    found = np.asarray(together([motion, appearance]))[:, 0]
    expected = [
        tscan_numpy.tscan(
            random_weights, motion[10 * i : 10 * i + 10], np.repeat(appearance[i][None], 10, axis=0)
        )
        for i in range(3)
    ]
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-4)


def test_the_loss_is_least_for_the_truth_and_most_for_its_opposite():
    time_s = np.arange(60) / 30
    truth = np.cos(2 * np.pi * 1.3 * time_s)
    truth = (truth / truth.std()).astype(np.float32)[None]
    basis = band_basis(60, 30.0)[None]
    noise = np.random.default_rng(1).normal(size=truth.shape).astype(np.float32)
    losses = [float(pulse_loss(x, truth, basis)) for x in (truth, truth + noise, noise, -truth)]
    assert losses == sorted(losses)
    assert losses[0] == pytest.approx(0, abs=0.01)
    assert losses[-1] > 1.9


def test_the_band_holds_a_slow_wave_and_not_a_fast_one():
    """Two derivatives of one size: the slow one's wave is larger, as integration has it."""
    time_s = np.arange(240) / 30
    basis = band_basis(240, 30.0)
    sizes = [np.linalg.norm(np.cos(2 * np.pi * hz * time_s) @ basis) for hz in (1.0, 2.0, 8.0)]
    assert sizes[0] == pytest.approx(2 * sizes[1], rel=0.1)
    assert sizes[2] < 0.02 * sizes[0]


def test_steps_that_were_taken_are_not_taken_again(shards):
    paths = find_shards(shards)
    every = batches(paths, 10, windows_a_clip=1, clips_a_step=1, seed=7)
    for _ in range(5):
        next(every)
    later = batches(paths, 10, windows_a_clip=1, clips_a_step=1, seed=7, skip=5)
    for one, other in zip(next(every), next(later), strict=True):
        np.testing.assert_array_equal(one, other)
