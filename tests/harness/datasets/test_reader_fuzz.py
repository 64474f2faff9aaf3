"""Damaged label files give one line or the right heart rate: no traceback, no wrong number."""

import json
import warnings

import h5py
import numpy as np
import pytest
import trees
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from harness.datasets.base import Recording
from harness.datasets.cohface import CohfaceDataset, read_pulse
from harness.datasets.mmpd import MmpdDataset, read_trial
from harness.datasets.pure import PureDataset, read_labels
from harness.datasets.ubfc_phys import UbfcPhysDataset, read_wave
from harness.datasets.vipl_hr_v1 import ViplHrV1Dataset
from harness.datasets.vipl_hr_v2 import ViplHrV2Dataset, read_gt
from rppg_core.errors import UserError

fuzz = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# (reader, tree, file to spoil, heart rate there)
FILES = {
    "gt.csv": (ViplHrV2Dataset, trees.vipl_hr_v2, "train/7/gt.csv", 25.0),
    "gt_HR.csv": (ViplHrV1Dataset, trees.vipl_hr_v1, "p1/v1/source1/gt_HR.csv", 29.8),
    "wave.csv": (ViplHrV1Dataset, trees.vipl_hr_v1, "p1/v1/source1/wave.csv", 29.8),
    "time.txt": (ViplHrV1Dataset, trees.vipl_hr_v1, "p1/v1/source1/time.txt", 29.8),
    "json": (PureDataset, trees.pure, "01-01/01-01.json", 30.0),
    "bvp.csv": (UbfcPhysDataset, trees.ubfc_phys, "s1/bvp_s1_T1.csv", 35.0),
    "hdf5": (CohfaceDataset, trees.cohface, "1/0/data.hdf5", 20.0),
    "mat": (MmpdDataset, trees.mmpd, "subject1/p1_0.mat", 30.0),
}


@pytest.fixture(scope="module")
def built(labels_only, tmp_path_factory):
    """Each kind of tree once; a test writes back what it spoils."""
    made = {}

    def make(name):
        reader, build, file, fps = FILES[name]
        if name not in made:
            root = build(tmp_path_factory.mktemp("fuzz"), labels_only)
            recording = reader("it", root).recordings()[0]
            made[name] = (root, recording, (root / file).read_bytes())
        root, recording, content = made[name]
        return reader("it", root), recording, root / file, content, labels_only.bpm_at(fps)

    return make


def heart_rates(dataset, recording: Recording):
    """What every convention says; UserErrors, of one line, say nothing."""
    found = {}
    for convention in dataset.conventions:
        dataset.convention = convention
        try:
            found[convention] = dataset.labels(recording).reference_bpm
        except UserError as error:
            assert str(error)
            assert "\n" not in str(error)
    return found


GARBAGE = st.one_of(
    st.just(b""),
    st.binary(max_size=200),
    st.text(max_size=80).map(lambda text: text.encode("utf-16")),
    st.integers(20, 400).map(lambda digits: b"9" * digits),
    st.lists(st.sampled_from(["1", "nan", "1e999", "-", "", " ", ",", "x", "1_0", "٣"])).map(
        lambda words: "\n".join(words).encode()
    ),
)


@pytest.mark.parametrize("name", FILES)
@fuzz
@given(garbage=GARBAGE)
def test_garbage_gives_one_line(name, garbage, built):
    dataset, recording, path, content, _ = built(name)
    path.write_bytes(garbage)
    try:
        with pytest.raises(UserError) as raised:
            dataset.signals(recording)
        assert "\n" not in str(raised.value)
        type(dataset)("it", dataset.root).absent()
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
@fuzz
@given(data=st.data())
def test_truncated_gives_one_line_or_what_is_left(name, data, built):
    dataset, recording, path, content, true_bpm = built(name)
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    try:
        for convention, bpm in heart_rates(dataset, recording).items():
            assert bpm == pytest.approx(true_bpm, abs=6), convention
    finally:
        path.write_bytes(content)


NOT_NUMBERS = [
    "nan",
    "inf",
    "-inf",
    "x",
    "1_0",
    "٣",
    "-",
    "e5",
    "0x10",
    "1;5",
    "1e999",
    '"5"',
    "\0",
]


@pytest.mark.parametrize("name", ["gt.csv", "gt_HR.csv", "wave.csv", "time.txt", "bvp.csv"])
@fuzz
@given(data=st.data())
def test_one_spoilt_value_is_refused(name, data, built):
    dataset, recording, path, content, _ = built(name)
    lines = content.decode().splitlines()
    first = {"gt.csv": 1, "gt_HR.csv": 1, "wave.csv": 1}.get(name, 0)
    at = data.draw(st.integers(first, len(lines) - 1))
    cells = lines[at].split(",")
    cells[data.draw(st.integers(1, 5)) if name == "gt.csv" else 0] = data.draw(
        st.sampled_from(NOT_NUMBERS)
    )
    lines[at] = ",".join(cells)
    path.write_text("\n".join(lines), encoding="utf-8")
    try:
        with pytest.raises(UserError):
            dataset.signals(recording)
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("name", ["wave.csv", "time.txt", "gt.csv"])
@fuzz
@given(seed=st.integers(0, 2**32))
def test_shuffled_lines_are_refused_where_order_is_time(name, seed, built):
    dataset, recording, path, content, _ = built(name)
    lines = content.decode().splitlines()
    np.random.default_rng(seed).shuffle(lines)
    path.write_text("\n".join(lines))
    unchanged = lines == content.decode().splitlines()
    try:
        # A wave alone cannot show that it was shuffled, but its header is seldom first then.
        if unchanged or (name == "wave.csv" and lines[0] == "Wave"):
            return
        with pytest.raises(UserError):
            dataset.signals(recording)
    finally:
        path.write_bytes(content)


def test_other_line_ends_and_blanks_change_nothing(built):
    for name in ("gt.csv", "gt_HR.csv", "wave.csv", "time.txt", "bvp.csv"):
        dataset, recording, path, content, _ = built(name)
        before = heart_rates(dataset, recording)
        plain = content.replace(b"\r\n", b"\n")
        padded = b"".join(b" " + line + b" \t\n" for line in plain.splitlines())
        for other in (
            plain.replace(b"\n", b"\r\n"),
            plain.strip(),
            b"\xef\xbb\xbf" + plain,
            padded,
        ):
            path.write_bytes(other)
            assert heart_rates(dataset, recording) == pytest.approx(before, abs=0.2), name
        path.write_bytes(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@fuzz
@given(data=st.data())
def test_wrong_types_in_json_are_refused(data, built):
    _, _, path, content, _ = built("json")
    whole = json.loads(content)
    entries = whole[data.draw(st.sampled_from(["/Image", "/FullPackage"]))]
    entry = entries[data.draw(st.integers(0, len(entries) - 1))]
    wrong = data.draw(
        JSON.filter(lambda x: type(x) is not int and (type(x) is not float or not np.isfinite(x)))
    )
    if entries is whole["/Image"] or data.draw(st.booleans()):
        entry["Timestamp"] = wrong
    else:
        entry["Value"][data.draw(st.sampled_from(["waveform", "pulseRate"]))] = wrong
    path.write_text(json.dumps(whole))
    try:
        with pytest.raises(UserError):
            read_labels(path)
    finally:
        path.write_bytes(content)


@fuzz
@given(whole=JSON)
@example(whole={"/Image": [{"Timestamp": 10**400}], "/FullPackage": []})
def test_json_of_something_else_is_refused(whole, tmp_path):
    path = tmp_path / "01-01.json"
    path.write_text(json.dumps(whole))
    with pytest.raises(UserError):
        read_labels(path)


@pytest.mark.parametrize("unit", [10**3, 10**6])
def test_json_in_another_unit_is_refused(unit, built, tmp_path):
    _, _, _, content, _ = built("json")
    whole = json.loads(content)
    for entries in whole.values():
        for entry in entries:
            entry["Timestamp"] //= unit
    path = tmp_path / "01-01.json"
    path.write_text(json.dumps(whole))
    with pytest.raises(UserError, match="unit"):
        read_labels(path)


def test_json_nested_without_end_is_refused(tmp_path):
    path = tmp_path / "01-01.json"
    path.write_text("[" * 200_000)
    with pytest.raises(UserError, match="not JSON"):
        read_labels(path)


WRONG_ARRAYS = [
    np.zeros((3, 900)),
    np.array(5.0),
    np.zeros(0),
    np.full(2000, np.nan),
    np.array([b"x"] * 2000),
    np.zeros(2000, np.complex128),
    np.zeros(2000, np.bool_),
    np.zeros(2000, [("a", "f4")]),
]


@pytest.mark.parametrize("pulse", WRONG_ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_wrong_types_in_hdf5_are_refused(pulse, tmp_path):
    with h5py.File(tmp_path / "data.hdf5", "w") as file:
        file["pulse"] = pulse
    dataset = CohfaceDataset("it", tmp_path)
    recording = Recording("1/0", "1", tmp_path / "data.avi")
    with pytest.raises(UserError):
        dataset.signals(recording)


@pytest.mark.parametrize("rate", ["256", 0, -256, np.nan, 1e9, [256, 256], np.bytes_("x")])
def test_wrong_rates_in_hdf5_are_refused(rate, tmp_path):
    with h5py.File(tmp_path / "data.hdf5", "w") as file:
        file["pulse"] = np.zeros(2000)
        file.attrs["sample-rate-hz"] = rate
    with pytest.raises(UserError, match="no rate in Hz"):
        read_pulse(tmp_path / "data.hdf5")


def test_hdf5_that_has_a_group_or_a_dead_link_is_refused(tmp_path):
    for number, spoil in enumerate(("group", "link", "nothing")):
        path = tmp_path / f"{number}.hdf5"
        with h5py.File(path, "w") as file:
            if spoil == "group":
                file.create_group("pulse")
            elif spoil == "link":
                file["pulse"] = h5py.ExternalLink("none.hdf5", "/x")
        with pytest.raises(UserError, match="fetch it again"):
            read_pulse(path)


@pytest.mark.parametrize(
    "ppg",
    [*WRONG_ARRAYS[:4], np.zeros(100), np.array(["word"]), np.zeros(200, np.complex128),
     np.array([[1], [2]], object)],
    ids=lambda array: f"{array.dtype}{array.shape}",
)  # fmt: skip
@pytest.mark.parametrize("hdf5", [False, True])
def test_wrong_types_in_mat_are_refused(ppg, hdf5, tmp_path):
    path = tmp_path / "p1_0.mat"
    video = np.zeros((200, 4, 4, 3), np.uint8)
    if not hdf5:
        savemat(path, {"video": video, "GT_ppg": ppg})
    elif ppg.dtype.kind in "OU":
        return  # HDF5 has no such arrays
    else:
        with h5py.File(path, "w", userblock_size=512) as file:
            file["video"], file["GT_ppg"] = video.T, np.asarray(ppg).T
    with pytest.raises(UserError), warnings.catch_warnings():
        warnings.simplefilter("error")
        read_trial(path)


@pytest.mark.parametrize("name", ["hdf5", "mat"])
@fuzz
@given(data=st.data())
def test_flipped_bytes_give_one_line_or_the_same_times(name, data, built):
    """Of a byte changed among the values nothing can be known; of one in the structure it can."""
    dataset, recording, path, content, _ = built(name)
    before = dataset.signals(recording)
    spoilt = bytearray(content)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, min(len(spoilt), 4000) - 1))
        spoilt[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(spoilt)
    try:
        after = dataset.signals(recording)
        assert np.isfinite(after.ppg).all()
        assert len(after.ppg) == len(before.ppg) or name == "hdf5"
    except UserError as error:
        assert "\n" not in str(error)
    finally:
        path.write_bytes(content)


def test_an_export_of_the_wristband_itself_is_refused(tmp_path):
    path = tmp_path / "bvp_s1_T1.csv"
    path.write_text("1583840000.000000\n64.000000\n" + "1.0\n" * 640)
    with pytest.raises(UserError, match="too large"):
        read_wave(path)


@pytest.mark.parametrize(
    "rows",
    [
        "  ,video1\nHeart rate ,80\nfps_mean ,0\n",
        "  ,video1\nHeart rate ,80\nfps_mean ,25000\n",
        "  ,video1 ,video1\nHeart rate ,80 ,81\nfps_mean ,25 ,25\n",
        "  ,video1 ,video2\nHeart rate ,80\nfps_mean ,25 ,25\n",
        "  ,film1\nHeart rate ,80\nfps_mean ,25\n",
        "  ,video1\nfps_mean ,25\nHeart rate ,80\n",
        "  ,video1\nHeart rate ,80\n",
        "  ,video1\nHeart rate ,\nfps_mean ,25\n",
    ],
)
def test_gt_of_another_form_is_refused(rows, tmp_path):
    (tmp_path / "gt.csv").write_text(rows)
    with pytest.raises(UserError):
        read_gt(tmp_path / "gt.csv")
