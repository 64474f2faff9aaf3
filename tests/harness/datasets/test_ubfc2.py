from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.datasets.base import Recording
from harness.datasets.ubfc2 import (
    GroundTruth,
    Ubfc2Dataset,
    read_ground_truth,
    write_ground_truth,
)
from rppg_core.errors import UserError

RATE_HZ = 30.0


def sine_truth(bpm=72.0, seconds=10.0, rate_hz=RATE_HZ):
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return GroundTruth(np.sin(2 * np.pi * bpm / 60 * time_s), np.full(len(time_s), bpm + 5), time_s)


def write_subject(root: Path, name: str, truth: GroundTruth) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "vid.avi").write_bytes(b"not opened here")
    write_ground_truth(folder / "ground_truth.txt", truth)
    return folder / "ground_truth.txt"


def bpm_of(path: Path, convention: str = "ppg-fft") -> float:
    dataset = Ubfc2Dataset("ubfc", path.parent.parent, convention)
    return dataset.labels(Recording("it", "it", path.parent / "vid.avi")).reference_bpm


@pytest.fixture
def real_labels(models_folder, need) -> list[Path]:
    files = sorted(models_folder.glob("ubfc_rppg_dataset2_labels/*/ground_truth.txt"))
    return files or need(f"no UBFC label files in {models_folder}")


def test_both_conventions_and_the_frame_times(tmp_path):
    truth = sine_truth(72.0)
    write_subject(tmp_path, "subject1", truth)
    dataset = Ubfc2Dataset("ubfc", tmp_path)
    labels = dataset.labels(dataset.recordings()[0])
    assert labels.convention == "ppg-fft"
    assert labels.reference_bpm == pytest.approx(72.0, abs=0.3)
    np.testing.assert_allclose(labels.frame_times_s, truth.time_s, atol=1e-6)
    raw = Ubfc2Dataset("ubfc", tmp_path, "hr-row")
    assert raw.labels(raw.recordings()[0]).reference_bpm == pytest.approx(77.0)


def test_a_partial_copy_is_listed_in_natural_order_with_what_is_absent(tmp_path):
    for name in ("subject10", "subject9", "subject1", "subject3"):
        write_subject(tmp_path, name, sine_truth())
    (tmp_path / "subject1" / "vid.avi").unlink()
    (tmp_path / "subject9" / "ground_truth.txt").unlink()
    for part in (tmp_path / "subject3").iterdir():
        part.unlink()
    dataset = Ubfc2Dataset("ubfc", tmp_path)
    found = dataset.recordings()
    assert [r.id for r in found] == ["subject1", "subject9", "subject10"]
    assert [r.video.exists() for r in found] == [False, True, True]
    lines = dataset.absent()
    assert lines[:3] == ["subject1: no vid.avi", "subject3: not here", "subject4: not here"]
    assert "subject9: no ground_truth.txt" in lines
    assert len(lines) == 42 - 3 + 2


def test_rate_comes_from_the_timestamps_not_from_30_fps(tmp_path):
    path = write_subject(tmp_path, "subject25", sine_truth(90.0, rate_hz=23.3))
    assert bpm_of(path) == pytest.approx(90.0, abs=0.3)


def test_repeated_timestamps_and_gaps_do_not_shift_the_rate(tmp_path):
    time_s = np.arange(600) / RATE_HZ
    time_s[300:] += 0.8
    ppg = np.sin(2 * np.pi * 1.2 * time_s)
    time_s[100] = time_s[99]
    path = write_subject(tmp_path, "subject9", GroundTruth(ppg, ppg, time_s))
    assert bpm_of(path) == pytest.approx(72.0, abs=0.5)


def test_real_label_files(real_labels):
    assert len(real_labels) == 23
    rates = {}
    for path in real_labels:
        truth = read_ground_truth(path)
        name = path.parent.name
        rates[name] = [bpm_of(path, c) for c in ("ppg-fft", "hr-row")]
        assert len(truth.ppg) == len(truth.time_s) > 1300
    # The sensor's row wraps above 127 in two of these files; elsewhere both conventions agree.
    differ = {name for name, (ppg, row) in rates.items() if abs(ppg - row) > 12}
    assert differ == {"subject11", "subject20"}
    assert rates["subject20"] == pytest.approx([132.5, 60.2], abs=1)
    assert rates["subject25"][0] == pytest.approx(91, abs=5)  # 23.2 frames a second


def lines(truth: GroundTruth, tmp_path: Path) -> list[str]:
    path = tmp_path / "good.txt"
    write_ground_truth(path, truth)
    return path.read_text().splitlines()


BROKEN = {
    "empty": (lambda rows: [], "0 rows instead of 3"),
    "missing row": (lambda rows: rows[:2], "2 rows instead of 3"),
    "fourth row": (lambda rows: [*rows, rows[0]], "4 rows instead of 3"),
    "empty row": (lambda rows: [rows[0], "", rows[2]], "different length"),
    "short row": (lambda rows: [rows[0], rows[1][:-20], rows[2]], "different length"),
    "word": (lambda rows: [rows[0].replace("e+00", "x", 1), *rows[1:]], "PPG row"),
    "nan": (lambda rows: [rows[0], "nan " * len(rows[0].split()), rows[2]], "heart rate row"),
    "underscore": (lambda rows: [rows[0].replace("0.0", "0_0", 1), *rows[1:]], "not a number"),
    "two points": (lambda rows: [rows[0].replace("e", ".1e", 1), *rows[1:]], "not a number"),
    "overflow": (lambda rows: [rows[0].replace("e-", "e+9", 1), *rows[1:]], "too large"),
    "reversed": (lambda rows: [*rows[:2], " ".join(rows[2].split()[::-1])], "time goes back"),
    "milliseconds": (lambda rows: [*rows[:2], rows[2].replace("e+00", "e+03")], "rate|back"),
    "one instant": (lambda rows: [*rows[:2], "1 " * len(rows[2].split())], "0.00 s of labels"),
    "flat": (lambda rows: ["1 " * len(rows[0].split()), *rows[1:]], "PPG row"),
    "one second": (lambda rows: [" ".join(row.split()[:30]) for row in rows], "0.97 s of labels"),
}


@pytest.mark.parametrize("defect", BROKEN)
def test_each_defect_is_one_line_that_names_the_file(tmp_path, defect):
    spoil, message = BROKEN[defect]
    path = write_subject(tmp_path, "subject1", sine_truth())
    path.write_text("\n".join(spoil(lines(sine_truth(), tmp_path))))
    dataset = Ubfc2Dataset("ubfc", tmp_path)
    with pytest.raises(UserError, match=message) as raised:
        dataset.labels(dataset.recordings()[0])
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_hr_row_of_no_person_is_refused(tmp_path):
    truth = sine_truth()
    truth = GroundTruth(truth.ppg, np.full(len(truth.ppg), 5.0), truth.time_s)
    path = write_subject(tmp_path, "subject1", truth)
    with pytest.raises(UserError, match=r"5\.0 bpm \(hr-row\)"):
        bpm_of(path, "hr-row")
    with pytest.raises(UserError, match=r"300 of 300 heart-rate readings are outside"):
        bpm_of(path, "hr-row-repaired")


def test_absent_or_binary_labels(tmp_path):
    with pytest.raises(UserError, match="no such label file"):
        read_ground_truth(tmp_path / "ground_truth.txt")
    (tmp_path / "ground_truth.txt").write_bytes(b"\xff\xfe\x00\x01\n1\n1")
    with pytest.raises(UserError, match="not a number"):
        read_ground_truth(tmp_path / "ground_truth.txt")


@pytest.mark.parametrize("make", [False, True])
def test_root_without_subjects(tmp_path, make):
    root = tmp_path / "set"
    if make:
        root.mkdir()
    with pytest.raises(UserError, match="root"):
        Ubfc2Dataset("ubfc", root).recordings()


NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True).map(str), st.text(max_size=4), st.just("1e999")
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.one_of(
        st.binary(max_size=300),
        st.lists(st.lists(NUMBERS, max_size=8).map(" ".join), max_size=5).map(
            lambda rows: "\n".join(rows).encode("utf-8", "replace")
        ),
    )
)
@example(rows=b"1 2\n1 2\n0 1e308")
def test_garbage_gives_one_line_and_never_a_number(tmp_path, rows):
    # At most eight values a row: no input here is long enough to hold a heart rate.
    path = tmp_path / "ground_truth.txt"
    path.write_bytes(rows)
    with pytest.raises(UserError):
        bpm_of(path)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_one_spoilt_value_is_refused(tmp_path, data):
    rows = [row.split() for row in lines(sine_truth(72.0), tmp_path)]
    row = data.draw(st.sampled_from([0, 2]))
    rows[row][data.draw(st.integers(0, len(rows[row]) - 1))] = data.draw(
        st.sampled_from(["nan", "inf", "", "x", "1_0", "٣", "-", "e5", "0x10", "1,5"])
    )
    path = tmp_path / "ground_truth.txt"
    path.write_text("\n".join(" ".join(row) for row in rows), encoding="utf-8")
    with pytest.raises(UserError):
        bpm_of(path)
