import shutil

import numpy as np
import pytest

from harness.calibration import calibrate, calibration_for_quantize, fingerprint, refuse_overlap
from harness.cli import main
from harness.datasets.folder import FolderDataset
from harness.datasets.plans import plan_clips
from harness.datasets.synthetic import SyntheticDataset
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
    with pytest.raises(UserError, match="subject1 of dataset small is of subject subject1, whom"):
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


def test_subjects_of_the_calibration_are_refused_in_their_other_recordings(
    calibration, tmp_path, dataset
):
    card = {"variant": "int8", "calibration": calibration.about}
    video = dataset.recordings()[1].video  # one that was not used
    (tmp_path / "again.avi").write_bytes(video.read_bytes())
    (tmp_path / "labels.csv").write_text("file,bpm,subject\nagain.avi,70,subject1\n")
    same = FolderDataset("small", tmp_path)
    with pytest.raises(UserError, match=r"again\.avi of dataset small is of subject subject1"):
        refuse_overlap(card, same, same.recordings())
    # Of a split too, whichever of the two has one.
    for name, said in (("small:test", "small"), ("small", "small:train")):
        part = FolderDataset(name, tmp_path)
        about = {**calibration.about, "dataset": said}
        with pytest.raises(UserError, match="is of subject subject1"):
            refuse_overlap({**card, "calibration": about}, part, part.recordings())
    # Another dataset's subject of that name is another person.
    other = FolderDataset("other", tmp_path)
    refuse_overlap(card, other, other.recordings())


@pytest.fixture
def datasets_file(dataset, tmp_path):
    path = tmp_path / "datasets.yaml"
    path.write_text(
        f"small: {{kind: synthetic, root: {dataset.root.parent}, clips: 2, seconds: 4.0, seed: 11,"
        " size: [320, 240]}\n"
    )
    return path


def test_a_configured_dataset_is_calibrated_with_named_subjects(datasets_file, tmp_path, capsys):
    given = ["calibrate", "small", "--datasets", str(datasets_file)]
    out = ["--out", str(tmp_path / "c.npz")]
    assert main([*given, *out, "--subjects", "subject2"]) == 0
    assert load_calibration(tmp_path / "c.npz", 10).about["subjects"] == ["subject2"]
    capsys.readouterr()
    for arguments, says in (
        ([*given, *out], "name a dataset and its --subjects"),
        ([*given, *out, "--subjects", "nobody"], "has no subject nobody"),
        (["calibrate", *out, "--subjects", "subject2"], "name a dataset and its --subjects"),
        ([*given, "--out", str(tmp_path / "c"), "--subjects", "subject2"], "NAME.npz"),
        ([*given, "--out", "/proc/no/c.npz", "--subjects", "subject2"], "No such file"),
        ([*given, *out, "--subjects", "subject2", "--window", "0"], "a window of 0 frames"),
    ):
        assert main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("rppg-bench: ") and says in line


def test_quantize_calibrates_with_subjects_of_a_dataset(datasets_file, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = calibration_for_quantize(10, "small", "subject2", datasets_file)
    assert load_calibration(made, 10).about["subjects"] == ["subject2"]
    with pytest.raises(UserError, match="of which --calibration-dataset"):
        calibration_for_quantize(10, None, "subject2", datasets_file)
