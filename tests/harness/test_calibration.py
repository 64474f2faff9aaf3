import shutil

import numpy as np
import pytest

from harness.calibration import calibrate, fingerprint, main, refuse_overlap
from harness.datasets.folder import FolderDataset
from harness.datasets.synthetic import SyntheticDataset, plan_clips
from rppg_core.errors import UserError
from rppg_core.lightening.calibration import load_calibration

COUNT = 5


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    clips = plan_clips(2, 4.0, 11, 320, 240)
    made = SyntheticDataset("small", tmp_path_factory.mktemp("clips"), clips)
    made.prepare()
    return made


@pytest.fixture(scope="module")
def calibration(dataset):
    return calibrate(dataset, ["subject1"], count=COUNT)


def test_windows_are_drawn_by_the_seed(dataset, calibration):
    assert calibration.motion.shape == (COUNT, 10, 36, 36, 3)
    again = calibrate(dataset, ["subject1"], count=COUNT)
    assert again.sha256 == calibration.sha256
    other = calibrate(dataset, ["subject1"], count=COUNT, seed=1)
    assert other.about["windows"] != calibration.about["windows"]
    assert other.sha256 != calibration.sha256


def test_what_was_used_is_told(calibration):
    about = calibration.about
    assert (about["dataset"], about["subjects"], about["seed"]) == ("small", ["subject1"], 0)
    assert set(about["recordings"]) == set(about["windows"]) == {"subject1"}
    assert len(about["windows"]["subject1"]) == COUNT
    # Standardised over the recording: what the model is given, not raw differences.
    assert 0.1 < np.abs(calibration.motion).std() < 10


def test_recordings_of_the_calibration_are_refused_under_any_name(dataset, calibration, tmp_path):
    card = {"variant": "int8", "calibration": calibration.about}
    first, second = dataset.recordings()
    refuse_overlap(card, dataset, [second])
    refuse_overlap({"variant": "float32"}, dataset, [first, second])
    with pytest.raises(UserError, match="subject1 of dataset small is among"):
        refuse_overlap(card, dataset, [second, first])
    shutil.copy(first.video, tmp_path / "copy.avi")
    (tmp_path / "labels.csv").write_text("file,bpm\ncopy.avi,70\n")
    copied = FolderDataset("mine", tmp_path)
    with pytest.raises(UserError, match=r"copy\.avi of dataset mine is among"):
        refuse_overlap(card, copied, copied.recordings())


def test_two_recordings_have_two_fingerprints(dataset):
    assert len({fingerprint(one) for one in dataset.recordings()}) == 2


def test_an_unknown_subject_is_named(dataset):
    with pytest.raises(UserError, match="dataset small has no subject subject9"):
        calibrate(dataset, ["subject1", "subject9"])


def test_a_configured_dataset_is_calibrated_with_named_subjects(dataset, tmp_path, capsys):
    (tmp_path / "datasets.yaml").write_text(
        f"small: {{kind: synthetic, root: {dataset.root.parent}, clips: 2, seconds: 4.0, seed: 11,"
        " size: [320, 240]}\n"
    )
    given = ["--dataset", "small", "--datasets", str(tmp_path / "datasets.yaml")]
    out = ["--out", str(tmp_path / "c.npz")]
    assert main([*given, *out]) == 2
    assert "name the --subjects" in capsys.readouterr().err
    assert main([*given, *out, "--subjects", "subject2"]) == 0
    assert load_calibration(tmp_path / "c.npz", 10).about["subjects"] == ["subject2"]
