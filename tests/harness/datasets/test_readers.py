"""Each published dataset, from files as its authors lay them out to a heart rate."""

import json
import shutil

import cv2
import numpy as np
import pytest
import trees
from scipy.io import loadmat, savemat

from harness.boards.loopback import LoopbackBoard
from harness.datasets.checking import check_dataset
from harness.datasets.cohface import CohfaceDataset
from harness.datasets.mmpd import MmpdDataset, copy_video
from harness.datasets.pure import PureDataset
from harness.datasets.registry import open_dataset
from harness.datasets.ubfc_phys import UbfcPhysDataset
from harness.datasets.vipl_hr_v1 import ViplHrV1Dataset
from harness.datasets.vipl_hr_v2 import ViplHrV2Dataset
from rppg_core.errors import UserError
from rppg_core.faces import make_detector
from rppg_core.models import tflite_file
from rppg_core.pipeline import Pipeline
from rppg_core.tscan import TSCAN
from rppg_core.video import open_source

# (reader, builder of a tree, its first recording, frames a second there)
FORMATS = {
    "vipl-hr-v2": (ViplHrV2Dataset, trees.vipl_hr_v2, "7/video1", 25.0),
    "vipl-hr-v1": (ViplHrV1Dataset, trees.vipl_hr_v1, "p1/v1/source1", 29.8),
    "pure": (PureDataset, trees.pure, "01-01", 30.0),
    "ubfc-phys": (UbfcPhysDataset, trees.ubfc_phys, "s1_T1", 35.0),
    "cohface": (CohfaceDataset, trees.cohface, "1/0", 20.0),
    "mmpd": (MmpdDataset, trees.mmpd, "p1_0", 30.0),
}
# One recording is enough where frames have to be written.
SMALL = {
    "vipl-hr-v2": {"subjects": (7,)},
    "vipl-hr-v1": {"recordings": ("p1/v1/source1",)},
    "pure": {"names": ("01-01",)},
    "ubfc-phys": {"subjects": ("s1",), "tasks": ("T1",)},
    "cohface": {"subjects": ("1",), "sessions": ("0",)},
    "mmpd": {"trials": ("subject1/p1_0",), "dtype": np.uint8},
}
CONDITIONS = {
    "vipl-hr-v2": {},
    "vipl-hr-v1": {"device": "webcam", "lighting": "lamp", "motion": "still"},
    "pure": {"lighting": "natural", "motion": "still"},
    "ubfc-phys": {"task": "rest", "motion": "still"},
    "cohface": {"device": "webcam", "lighting": "lamp", "motion": "still"},
    "mmpd": {
        "device": "phone",
        "gender": "male",
        "glasses": "no",
        "hair_cover": "yes",
        "lighting": "led-low",
        "makeup": "no",
        "motion": "still",
        "skin_type": "fitzpatrick-3",
        "task": "after-exercise",
    },
}
LABEL_BPM = 1.0  # a spectral peak of 7 s of pulse against its mean rate
PIPELINE_BPM = 3.0


@pytest.fixture
def opened(labels_only, tmp_path):
    """`opened(kind)`: a reader over a fresh tree with labels and unplayable videos."""

    def make(kind, **changes):
        reader, build, _, _ = FORMATS[kind]
        options = {"cache": tmp_path / "cache"} if reader is MmpdDataset else {}
        return reader("it", build(tmp_path / kind, labels_only, **changes), **options)

    return make


@pytest.mark.parametrize("kind", FORMATS)
def test_heart_rate_from_labels_and_from_frames(kind, clip, tmp_path):
    reader, build, first, fps = FORMATS[kind]
    options = {"cache": tmp_path / "cache"} if reader is MmpdDataset else {}
    dataset = reader("it", build(tmp_path / "it", clip, **SMALL[kind]), **options)
    dataset.prepare()
    recording = next(one for one in dataset.recordings() if one.id == first)
    assert dict(recording.conditions) == CONDITIONS[kind]
    true_bpm = clip.bpm_at(fps)
    for convention in dataset.conventions:
        dataset.convention = convention
        labels = dataset.labels(recording)
        assert labels.reference_bpm == pytest.approx(true_bpm, abs=LABEL_BPM), convention
    times_s = None if labels.frame_times_s is None else labels.frame_times_s.tolist()
    model = TSCAN(tflite_file("tscan-synthetic")[1])
    with open_source(recording.video, times_s) as source:
        result = Pipeline(make_detector("haar", {}), model).run(source)
    assert result.frames == clip.count
    assert result.fps == pytest.approx(fps, abs=0.1)
    assert result.bpm == pytest.approx(true_bpm, abs=PIPELINE_BPM)


@pytest.mark.parametrize("kind", FORMATS)
def test_signals_are_what_the_files_say(kind, opened, labels_only):
    dataset, fps = opened(kind), FORMATS[kind][3]
    signals = dataset.signals(dataset.recordings()[0])
    nominal = {"vipl-hr-v1": 25.0}.get(kind, fps)
    assert signals.nominal_rate_hz == nominal
    assert ("ppg-fft" in dataset.conventions) == (signals.ppg is not None)
    assert ("hr-row" in dataset.conventions) == (signals.hr_bpm is not None)
    if signals.ppg is not None:
        assert len(signals.ppg) == len(signals.ppg_times_s)
        inside = (signals.ppg_times_s >= 0) & (signals.ppg_times_s <= labels_only.count / fps)
        truth = labels_only.pulse(signals.ppg_times_s[inside], fps)
        assert np.corrcoef(signals.ppg[inside], truth)[0, 1] > 0.99
        assert np.diff(signals.ppg_times_s).min() > 0
    if signals.hr_bpm is not None:
        assert signals.hr_bpm == pytest.approx(labels_only.bpm_at(fps), abs=0.51)
    if kind in ("pure", "vipl-hr-v1"):
        expected = np.arange(labels_only.count) / fps
        np.testing.assert_allclose(signals.frame_times_s, expected, atol=0.0055)
    else:
        assert signals.frame_times_s is None


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("left", ["video", "labels"])
def test_a_recording_without_video_or_labels_is_listed(kind, left, opened):
    dataset = opened(kind)
    before = dataset.recordings()[0]
    gone = before.video if left == "labels" else before.label_file
    if kind == "mmpd":  # both are one file
        gone = before.label_file
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    if kind == "vipl-hr-v1" and left == "video":
        (gone.parent / "wave.csv").unlink()
    again = type(dataset)("it", dataset.root)
    ids = [one.id for one in again.recordings()]
    lines = [line for line in again.absent() if line.startswith(before.id.split("/video")[0] + ":")]
    if kind == "mmpd":
        assert before.id not in ids
        assert lines == ["p1_0: not here"]
        return
    assert before.id in ids
    assert lines or any(line.startswith(f"{before.id}:") for line in again.absent())
    if left == "video":
        with pytest.raises(UserError, match=r"no such|neither|no 01-01\.json"):
            again.signals(before)
    else:
        again.signals(before)


@pytest.mark.parametrize("kind", FORMATS)
def test_root_that_is_none(kind, tmp_path):
    reader = FORMATS[kind][0]
    for root in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(UserError, match="correct its root"):
            reader("it", root).recordings()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"root|cannot list"):
        reader("it", tmp_path / "file").recordings()


ABSENT = {
    "vipl-hr-v2": ("1 to 6: not here (6 subjects)", "7/video3: no video3.mp4.avi"),
    "vipl-hr-v1": ("p2: not here", "p1/v2: not here", "p1/v1/source1: no time.txt"),
    "pure": ("02: not here", "01-03: not here", "01-02: no images"),
    "ubfc-phys": ("s2: not here", "s1_T3: no bvp_s1_T3.csv"),
    "cohface": ("2: not here", "1/3: no data.hdf5"),
    "mmpd": ("subject2: not here", "p1_1: not here"),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_absent_has_a_line(kind, opened, tmp_path):
    more = {
        "vipl-hr-v2": {"subjects": (7, 8)},
        "vipl-hr-v1": {"recordings": ("p1/v1/source1", "p1/v1/source2", "p3/v9/source2")},
        "pure": {"names": ("01-01", "01-02", "03-01")},
        "ubfc-phys": {"subjects": ("s1", "s3")},
        "cohface": {"subjects": ("1", "3")},
        "mmpd": {"trials": ("subject1/p1_0", "subject3/p3_0")},
    }
    dataset = opened(kind, **more[kind])
    for name in ("train/7/video3.mp4.avi", "p1/v1/source1/time.txt", "s1/bvp_s1_T3.csv",
                 "1/3/data.hdf5"):  # fmt: skip
        (dataset.root / name).unlink(missing_ok=True)
    shutil.rmtree(dataset.root / "01-02" / "01-02", ignore_errors=True)
    lines = dataset.absent()
    assert set(ABSENT[kind]) <= set(lines), lines
    assert all("\n" not in line for line in lines)
    there = {"vipl-hr-v2": "8", "vipl-hr-v1": "p3", "pure": "03", "mmpd": "subject3"}
    assert not any(line.startswith(f"{there.get(kind, 'x')}: not") for line in lines)


def test_vipl_v2_real_label_files(models_folder, need):
    root = models_folder / "vipl_hr_v2_labels"
    if not root.is_dir():
        need(f"no VIPL-HR-V2 label files in {models_folder}")
    dataset = ViplHrV2Dataset("it", root)
    found = dataset.recordings()
    assert len(found) == 50
    rows = {one.id: dataset.signals(one) for one in found}
    assert rows["7/video5"].hr_bpm.tolist() == [106.5]
    assert rows["7/video5"].nominal_rate_hz == 21.3
    assert rows["83/video1"].hr_bpm.tolist() == [94.0]
    rates = [row.nominal_rate_hz for row in rows.values()]
    assert (min(rates), max(rates)) == (21.3, 27.1)
    assert {dataset.labels(one).convention for one in found} == {"hr-row"}
    assert len(dataset.absent()) == 50 + 2  # every video, and two runs of subjects
    assert ViplHrV2Dataset("it", root / "train").recordings()[0].id == "7/video1"


def test_vipl_v1_phone_has_no_clock_and_the_camera_needs_its_own(opened):
    dataset = opened("vipl-hr-v1", recordings=("p1/v1/source1", "p1/v9-2/source2"))
    camera, phone = dataset.recordings()
    assert (phone.id, phone.conditions["motion"]) == ("p1/v9-2/source2", "moving")
    assert dataset.signals(phone).frame_times_s is None
    assert dataset.signals(phone).nominal_rate_hz == 30.0
    (camera.video.parent / "time.txt").unlink()
    with pytest.raises(UserError, match=r"time\.txt: no such label file"):
        dataset.signals(camera)


def test_pure_in_one_folder(clip, tmp_path):
    root = trees.pure(tmp_path, clip.part(70), ("01-01",), nested=False)
    dataset = PureDataset("it", root)
    (recording,) = dataset.recordings()
    assert recording.video == root / "01-01"
    assert recording.label_file.is_file()
    # The file's clock and the one in the images' names are the same.
    with open_source(recording.video) as source:
        named_s = [frame.time_s for frame in source]
    np.testing.assert_allclose(dataset.signals(recording).frame_times_s, named_s, atol=1e-6)


@pytest.mark.board
def test_a_folder_of_images_is_replayed_over_ssh(clip, tmp_path):
    dataset = PureDataset("it", trees.pure(tmp_path / "it", clip, ("01-01",)))
    (recording,) = dataset.recordings()
    model = tflite_file("tscan-synthetic")[1]
    with LoopbackBoard(workdir=str(tmp_path / "board")) as board:
        board.deploy()
        placed = board.put([model, recording.video])
        job = {
            "schema": "rppg-job/1",
            "recordings": [
                {
                    "id": recording.id,
                    "path": placed.board_paths[recording.video],
                    "times_s": dataset.labels(recording).frame_times_s.tolist(),
                }
            ],
            "model": {"path": placed.board_paths[model], "name": "tscan-synthetic/float32"},
            "detector": {"name": "haar", "files": {}},
            "settings": {},
            "runtime": board.runtime,
            "threads": board.threads,
        }
        (record,) = board.replay(job, lambda event: None, 120.0).records
        assert board.put([recording.video]).sent_files == 0
    assert placed.sent_files == clip.count + 1
    assert record["result"]["bpm"] == pytest.approx(clip.bpm_at(30), abs=PIPELINE_BPM)


def test_pure_in_another_order_is_the_same(opened):
    dataset = opened("pure")
    recording = dataset.recordings()[0]
    before = dataset.signals(recording)
    content = json.loads(recording.label_file.read_text())
    for entries in content.values():
        np.random.default_rng(4).shuffle(entries)
    recording.label_file.write_text(json.dumps(content))
    after = dataset.signals(recording)
    for name in ("frame_times_s", "ppg", "ppg_times_s", "hr_bpm"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


@pytest.mark.parametrize(
    ("hdf5", "dtype"),
    [(False, np.uint8), (False, np.float32), (True, np.uint8), (True, np.float64)],
)
def test_mmpd_copies_are_lossless_and_made_once(hdf5, dtype, labels_only, tmp_path):
    path = trees.mmpd_file(
        tmp_path / "set/subject1/p1_0.mat", labels_only, hdf5=hdf5, dtype=dtype, shape=(40, 32)
    )
    frames = np.random.default_rng(1).integers(0, 255, (labels_only.count, 40, 32, 3), np.uint8)
    dataset = MmpdDataset("it", tmp_path / "set", cache=tmp_path / "cache")
    seen = []
    dataset.prepare(lambda *event: seen.append(event))
    (recording,) = dataset.recordings()
    assert seen == [(1, 1, "p1_0")]
    assert dict(recording.conditions) == CONDITIONS["mmpd"]
    capture = cv2.VideoCapture(str(recording.video))
    assert capture.get(cv2.CAP_PROP_FPS) == 30
    for frame in frames:
        np.testing.assert_array_equal(capture.read()[1][..., ::-1], frame)
    assert not capture.read()[0]
    made = recording.video.stat().st_mtime_ns
    MmpdDataset("it", tmp_path / "set", cache=tmp_path / "cache").prepare(seen.append)
    assert recording.video.stat().st_mtime_ns == made
    assert len(seen) == 1
    # Another content under the same name is another video.
    trees.mmpd_file(path, labels_only, hdf5=hdf5, dtype=dtype, shape=(42, 32))
    again = MmpdDataset("it", tmp_path / "set", cache=tmp_path / "cache").recordings()[0]
    assert again.video != recording.video
    assert [p.suffix for p in (tmp_path / "cache").iterdir()] == [".avi"]


def test_mmpd_copies_what_was_selected_and_no_more(labels_only, tmp_path, monkeypatch):
    trees.mmpd(tmp_path / "set", labels_only)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    entry = "{kind: mmpd, root: set, recordings: [p1_1]}"
    (tmp_path / "datasets.yaml").write_text(f"it: {entry}\n")
    dataset = open_dataset("it", tmp_path / "datasets.yaml")
    dataset.prepare()
    (copy,) = (tmp_path / "cache").rglob("*.*")
    assert [one.video for one in dataset.recordings()] == [copy]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_kind_opens_by_name(kind, labels_only, tmp_path):
    reader, build, first, _ = FORMATS[kind]
    build(tmp_path / "set", labels_only, **SMALL[kind])
    (tmp_path / "datasets.yaml").write_text(f"it: {{kind: {kind}, root: set}}\n")
    dataset = open_dataset("it", tmp_path / "datasets.yaml")
    assert type(dataset) is reader
    assert dataset.recordings()[0].id == first


@pytest.mark.parametrize("left", [100, 3000])
def test_mmpd_unreadable_file_is_listed_and_does_not_stop_the_others(left, opened, tmp_path):
    dataset = opened("mmpd")
    bad = dataset.root / "subject1" / "p1_0.mat"
    bad.write_bytes(bad.read_bytes()[:left])
    dataset.prepare()
    one, two = dataset.recordings()
    assert (one.video.exists(), two.video.exists()) == (False, True)
    (line,) = [line for line in dataset.absent() if line.startswith("p1_0: ")]
    assert "cannot be read as a MATLAB file" in line
    with pytest.raises(UserError, match="fetch it again"):
        copy_video(bad, tmp_path / "out.avi")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v * 300, "0 to 1 expected"),
        (lambda v: v - 1, "0 to 1 expected"),
        (lambda v: np.where(v > 0.5, np.nan, v), "0 to 1 expected"),
        (lambda v: np.rint(v).astype(np.int32), "neither 8-bit"),
        (lambda v: v[:50], "one for each"),
        (lambda v: v[..., :1], "no 'video'"),
    ],
)
def test_mmpd_frames_that_are_none(change, message, labels_only, tmp_path):
    path = trees.mmpd_file(tmp_path / "set/subject1/p1_0.mat", labels_only)
    content = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
    savemat(path, {**content, "video": change(content["video"])})
    with pytest.raises(UserError, match=message):
        copy_video(path, tmp_path / "out.avi")
    assert trees.files_of(tmp_path) == ["set/subject1/p1_0.mat"]


def test_three_thousand_recordings_are_listed_without_reading_them(tmp_path, labels_only):
    sample = trees.vipl_hr_v1(tmp_path / "one", labels_only, ("p1/v1/source1",))
    folder = sample / "p1/v1/source1"
    for file in folder.iterdir():
        file.write_bytes(b"\0")  # what would be read is refused
    for subject in range(1, 101):
        for scenario in range(1, 10):
            for source in (1, 3, 4):
                target = tmp_path / f"all/p{subject}/v{scenario}/source{source}"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(folder)
    dataset = ViplHrV1Dataset("it", tmp_path / "all")
    found = dataset.recordings()
    assert len(found) == 2700
    with pytest.raises(UserError):
        dataset.labels(found[0])


def test_cameras_that_film_at_once_share_labels_and_are_no_copies(opened):
    checked = check_dataset(opened("vipl-hr-v1"))
    assert len(checked) == 2
    assert not any(defect.code == "copied" for one in checked for defect in one.defects)
