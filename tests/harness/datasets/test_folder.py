import csv

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.datasets.folder import FolderDataset
from rppg_core.errors import UserError


def folder(tmp_path, text, files=("a.mp4", "b.mp4")):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    return FolderDataset("mine", tmp_path)


def test_rows_become_recordings_in_natural_order(tmp_path):
    names = ("clip 10.mp4", "clip 2.mp4", "sub/Zoë, später.mp4")
    text = (
        "\ufefffile,bpm,subject,light\n"
        "clip 10.mp4,71.5,s1,dark\nclip 2.mp4, 60 ,,\n\n"
        '"sub/Zoë, später.mp4",90,s3,bright\n'
    )
    dataset = folder(tmp_path, text, names)
    found = dataset.recordings()
    assert [r.id for r in found] == ["clip 2.mp4", "clip 10.mp4", "sub/Zoë, später.mp4"]
    assert [r.subject for r in found] == ["clip 2.mp4", "s1", "s3"]
    assert [dict(r.conditions) for r in found] == [{}, {"light": "dark"}, {"light": "bright"}]
    assert [dataset.labels(r).reference_bpm for r in found] == [60.0, 71.5, 90.0]
    assert all(r.video.is_file() for r in found)
    assert dataset.labels(found[0]).convention == "listed"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("\n", "empty"),
        ("file,bpm\n", "no recording listed"),
        ("file;bpm\na.mp4;60\n", "no column 'file'"),
        ("file,hr\na.mp4,60\n", "no column 'bpm'"),
        ("file,bpm,bpm\na.mp4,60,61\n", "occurs twice"),
        ("file,bpm\nnone.mp4,60\n", "line 2: 'none.mp4' is not a file"),
        ("file,bpm\n,60\n", "'' is not a file"),
        ("file,bpm\na.mp4,sixty\n", "line 2: 'sixty' is not a heart rate"),
        ("file,bpm\na.mp4,\n", "'' is not a heart rate"),
        ("file,bpm\na.mp4,nan\n", "outside 30-240"),
        ("file,bpm\na.mp4,29.9\n", "outside 30-240"),
        ("file,bpm\na.mp4,241\n", "outside 30-240"),
        ("file,bpm\na.mp4,60\na.mp4,61\n", "line 3: 'a.mp4' is listed twice"),
        ("file,bpm\na.mp4,60\n./a.mp4,61\n", "listed twice"),
        ("file,bpm\na.mp4,60,1\n", "3 cells for 2 columns"),
        ("file,bpm\na.mp4\n", "1 cells for 2 columns"),
        ('file,bpm\n"a.mp4,60\n', "cannot be read as UTF-8 CSV"),
        ("file,bpm\n" + "x" * 300 + ",60\n", "is not a file"),
    ],
)
def test_each_defect_is_one_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as raised:
        folder(tmp_path, text).recordings()
    assert "\n" not in str(raised.value)


def test_absent_folder_list_and_wrong_encoding(tmp_path):
    with pytest.raises(UserError, match="no folder"):
        FolderDataset("mine", tmp_path / "nowhere").recordings()
    with pytest.raises(UserError, match="list the videos there"):
        FolderDataset("mine", tmp_path).recordings()
    (tmp_path / "labels.csv").write_bytes("file,bpm\nZoë.mp4,60\n".encode("latin-1"))
    with pytest.raises(UserError, match="UTF-8"):
        FolderDataset("mine", tmp_path).recordings()


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rest=st.binary(max_size=200), header=st.sampled_from([b"", b"file,bpm\n", b"bpm,x,file\n"]))
def test_garbage_gives_one_line_and_never_a_number(tmp_path, rest, header):
    (tmp_path / "labels.csv").write_bytes(header + rest)
    with pytest.raises(UserError):
        FolderDataset("mine", tmp_path).recordings()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# No NUL: before Python 3.11 csv writes none.
@given(
    bpm=st.floats(30, 240),
    condition=st.text(st.characters(exclude_characters="\x00"), max_size=20),
)
def test_what_a_csv_writer_writes_is_read_back(tmp_path, bpm, condition):
    (tmp_path / "a.mp4").write_bytes(b"")
    with (tmp_path / "labels.csv").open("w", encoding="utf-8", newline="", errors="replace") as out:
        csv.writer(out).writerows([["file", "bpm", "light"], ["a.mp4", repr(bpm), condition]])
    dataset = FolderDataset("mine", tmp_path)
    (recording,) = dataset.recordings()
    assert dataset.labels(recording).reference_bpm == bpm
