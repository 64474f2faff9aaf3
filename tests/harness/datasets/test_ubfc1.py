import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.datasets.ubfc1 import SUBJECTS, Ubfc1Dataset
from rppg_core.errors import UserError

RATE_HZ = 62.0


def gtdump(bpm=72.0, seconds=8.0, row_bpm=75):
    times_ms = np.round(np.arange(round(seconds * RATE_HZ)) / RATE_HZ * 1000).astype(int)
    wave = np.round(50 + 40 * np.sin(2 * np.pi * bpm / 60 * times_ms / 1000)).astype(int)
    return [f"{t},{row_bpm},98,{ppg}" for t, ppg in zip(times_ms, wave, strict=True)]


def write(root, name="10-gt", lines=None, video="vid.avi"):
    folder = root / name
    folder.mkdir(parents=True)
    text = "\n".join(gtdump() if lines is None else lines)
    (folder / "gtdump.xmp").write_text(text + "\n", encoding="utf-8")
    if video:
        (folder / video).write_bytes(b"not opened here")
    return folder / "gtdump.xmp"


def only(root, convention=None):
    dataset = Ubfc1Dataset("one", root, convention)
    return dataset, dataset.recordings()[0]


@pytest.mark.parametrize(
    ("convention", "bpm"), [("ppg-fft", 72.0), ("hr-row", 75.0), ("hr-row-repaired", 75.0)]
)
def test_every_convention(tmp_path, convention, bpm):
    write(tmp_path)
    dataset, recording = only(tmp_path, convention)
    labels = dataset.labels(recording)
    assert labels.reference_bpm == pytest.approx(bpm, abs=0.3)
    assert labels.frame_times_s is None
    assert set(labels.references) == {"ppg-fft", "hr-row", "hr-row-repaired"}
    signals = dataset.signals(recording)
    assert signals.ppg_times_s[-1] == pytest.approx(8.0, abs=0.05)
    assert signals.ppg.min() >= 10


def test_a_partial_copy_and_another_videos_name(tmp_path):
    write(tmp_path, "10-gt", video="vid-10.avi")
    write(tmp_path, "5-gt", video=None)
    dataset = Ubfc1Dataset("one", tmp_path)
    assert [one.id for one in dataset.recordings()] == ["5-gt", "10-gt"]
    assert dataset.recordings()[1].video.name == "vid-10.avi"
    lines = dataset.absent()
    assert "5-gt: no vid.avi" in lines
    assert "after-exercise: not here" in lines
    assert len(lines) == len(SUBJECTS) - 2 + 1


BROKEN = {
    "empty": ([], "empty"),
    "three columns": (["0,72,98"], "line 1: 3 values instead of 4"),
    "a word": (["time,HR,SpO2,PPG", *gtdump()], "time column holds something"),
    "empty cell": ([*gtdump(), "9000,,98,50"], "heart rate column"),
    "two in a cell": ([*gtdump(), "9000,7 2,98,50"], "heart rate column"),
    "nan": ([*gtdump(), "9000,72,98,nan"], "PPG column"),
    "overflow": ([*gtdump(), "9000,72,98,1e999"], "too large"),
    "semicolons": ([line.replace(",", ";") for line in gtdump()], "1 values instead of 4"),
    "reversed": (gtdump()[::-1], "time goes back"),
    "seconds": ([f"{int(a) / 1000},{b}" for a, b in (x.split(",", 1) for x in gtdump())], "unit"),
    "short": (gtdump()[:60], "0.95 s of labels"),
    "flat": ([line.rsplit(",", 1)[0] + ",50" for line in gtdump()], "flat"),
}


@pytest.mark.parametrize("defect", BROKEN)
def test_each_defect_is_one_line_that_names_the_file(tmp_path, defect):
    lines, message = BROKEN[defect]
    path = write(tmp_path, lines=lines)
    dataset, recording = only(tmp_path)
    with pytest.raises(UserError, match=message) as raised:
        dataset.labels(recording)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.binary(max_size=200)
    | st.lists(st.text("0123456789,.-e \n\r\x00naif", max_size=20), max_size=8).map(
        lambda lines: "\n".join(lines).encode()
    )
)
def test_garbage_gives_one_line_and_never_a_number(tmp_path, content):
    # No input here is long enough to hold a heart rate.
    folder = tmp_path / "5-gt"
    folder.mkdir(exist_ok=True)
    (folder / "gtdump.xmp").write_bytes(content)
    dataset, recording = only(tmp_path)
    with pytest.raises(UserError):
        dataset.labels(recording)


def truncated(data, text):
    return text[: data.draw(st.integers(0, len(text)))]


def shuffled(data, text):
    lines = text.splitlines()
    first = data.draw(st.integers(0, len(lines) - 2))
    lines[first], lines[-1] = lines[-1], lines[first]
    return "\n".join(lines)


def another_encoding(data, text):
    return text.encode(data.draw(st.sampled_from(["utf-16", "utf-32", "utf-8-sig", "cp037"])))


def spoilt(data, text):
    at = data.draw(st.integers(0, len(text) - 1))
    return text[:at] + data.draw(st.sampled_from(["x", ",", "\n", "-", "e", "٣", "_"])) + text[at:]


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(change=st.sampled_from([truncated, shuffled, another_encoding, spoilt]), data=st.data())
def test_a_spoilt_file_gives_one_line_or_the_right_number(tmp_path, change, data):
    text = change(data, "\n".join(gtdump(seconds=12)))
    folder = tmp_path / "5-gt"
    folder.mkdir(exist_ok=True)
    (folder / "gtdump.xmp").write_bytes(text if isinstance(text, bytes) else text.encode())
    dataset, recording = only(tmp_path)
    try:
        bpm = dataset.labels(recording).reference_bpm
    except UserError as bad:
        assert "\n" not in str(bad)
    else:
        # What is cut off or changed by one sample leaves the pulse as it was.
        assert bpm == pytest.approx(72.0, abs=2.5)
