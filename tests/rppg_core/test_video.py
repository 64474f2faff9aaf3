import subprocess
import sys

import cv2
import numpy as np
import pytest
from clips import (
    FPS,
    HEIGHT,
    WIDTH,
    framed,
    jittered_times,
    pulsing,
    steady_times,
    write_audio,
    write_cut,
    write_images,
    write_rotated,
    write_video,
)

from rppg_core.errors import VideoError
from rppg_core.video import Camera, open_source

MS = 0.0011  # containers count whole milliseconds


def read(source, **options):
    with open_source(source, **options) as opened:
        return list(opened)


def times_of(source, **options):
    with open_source(source, **options) as opened:
        return np.array([frame.time_s for frame in opened])


def grey(count, size=(48, 64)):
    return [np.full((*size, 3), 10 + 2 * i, np.uint8) for i in range(count)]


@pytest.fixture(scope="module")
def short(face_image):
    return list(pulsing(face_image, steady_times(3)))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mjpeg"), ("raw.avi", "rawvideo")],
)
@pytest.mark.parametrize("fps", [30.0, 23.3])
def test_a_steady_clock_is_the_containers(tmp_path, short, name, codec, fps):
    path = write_video(tmp_path / name, short, fps=fps, codec=codec)
    frames = read(path)
    assert [frame.number for frame in frames] == list(range(len(short)))
    assert [f.time_s for f in frames] == pytest.approx(np.arange(len(short)) / fps, abs=MS)


@pytest.mark.parametrize("name", ["variable.mp4", "variable.mkv"])
def test_a_variable_clock_is_kept(tmp_path, short, name):
    times_s = jittered_times(3)
    path = write_video(tmp_path / name, short, times_s=times_s)
    assert times_of(path) == pytest.approx(times_s, abs=MS)


def test_frames_are_rgb_and_in_order(tmp_path):
    frames = []
    for i in range(10):
        rgb = np.full((48, 64, 3), (200, 40 + 4 * i, 20), np.uint8)
        rgb[:, 32:] = (20, 40 + 4 * i, 200)
        frames.append(rgb)
    path = write_video(tmp_path / "colours.avi", frames, codec="ffv1")
    for made, frame in zip(frames, read(path), strict=True):
        assert frame.rgb.dtype == np.uint8
        assert np.abs(frame.rgb.astype(int) - made).max() <= 1
    folder = write_images(tmp_path / "images", [f"{i}.png" for i in range(10)], frames)
    for made, frame in zip(frames, read(folder, fps=30), strict=True):
        assert np.array_equal(frame.rgb, made)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_rotated_recording_comes_upright(tmp_path, face_image, turns):
    upright = framed(face_image)
    path = write_rotated(tmp_path / "turned.mp4", [upright] * 3, turns)
    for frame in read(path):
        assert frame.rgb.shape == (HEIGHT, WIDTH, 3)
        assert np.abs(frame.rgb.astype(float) - upright).mean() < 4


def test_label_times_replace_a_wrong_frame_rate(tmp_path, short):
    path = write_video(tmp_path / "wrong.mp4", short, fps=FPS)
    true_s = 7.0 + np.arange(len(short)) / 20
    assert times_of(path, times_s=true_s) == pytest.approx(true_s)


@pytest.mark.parametrize("off", [-40, -5, 5, 40])
def test_labels_of_another_length_are_refused(tmp_path, short, off):
    path = write_video(tmp_path / "a.mp4", short)
    with pytest.raises(VideoError, match="do not belong together"):
        read(path, times_s=np.arange(len(short) + off) / FPS)


@pytest.mark.parametrize(("off", "frames"), [(-2, 88), (2, 90)])
def test_a_label_row_more_or_less_is_normal(tmp_path, short, off, frames):
    path = write_video(tmp_path / "a.mp4", short)
    assert len(read(path, times_s=np.arange(len(short) + off) / FPS)) == frames


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_label_times_must_be_numbers(tmp_path, short, bad):
    path = write_video(tmp_path / "a.mp4", short)
    times_s = np.arange(len(short)) / FPS
    times_s[5] = bad
    with pytest.raises(VideoError, match="finite"):
        read(path, times_s=times_s)


def test_repeated_times_are_moved_on_and_counted(tmp_path, short):
    path = write_video(tmp_path / "a.mp4", short)
    given = np.arange(len(short)) / FPS
    given[10] = given[9]
    with open_source(path, times_s=given) as source:
        times_s = np.array([frame.time_s for frame in source])
        assert source.moved_timestamps == 1
    assert np.all(np.diff(times_s) > 0)
    assert times_s == pytest.approx(given, abs=MS)


def test_a_clock_that_falls_back_is_refused(tmp_path, short):
    path = write_video(tmp_path / "a.mp4", short)
    given = np.arange(len(short)) / FPS
    given[60:] -= 1.9
    with pytest.raises(VideoError, match=r"falls back by 1\.9 s at frame 60"):
        read(path, times_s=given)


def test_a_stream_without_a_clock_is_refused(tmp_path, short):
    path = write_video(tmp_path / "bare.h264", short)
    with pytest.raises(VideoError, match="no frame times"):
        read(path)


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("a.avi", "mjpeg", {}),
        ("raw.avi", "rawvideo", {}),
        ("a.mkv", "libx264", {}),
        ("front.mp4", "libx264", {"movflags": "faststart"}),
    ],
)
def test_a_cut_recording_is_refused(tmp_path, short, name, codec, container, share):
    whole = write_video(tmp_path / name, short, codec=codec, container=container)
    assert len(read(whole)) == len(short)
    cut = write_cut(tmp_path / f"cut-{name}", whole, share)
    with pytest.raises(VideoError, match="truncated, only"):
        read(cut)


def test_an_mp4_cut_before_its_index_is_refused(tmp_path, short):
    whole = write_video(tmp_path / "a.mp4", short)
    with pytest.raises(VideoError, match="cut off"):
        read(write_cut(tmp_path / "cut.mp4", whole, 0.9))


def test_a_variable_clock_is_not_taken_for_a_cut(tmp_path, short):
    """Matroska's frame count is a guess from duration and nominal rate."""
    times_s = 1.6 * jittered_times(3)
    path = write_video(tmp_path / "slow.mkv", short, times_s=times_s)
    with open_source(path) as source:
        assert source.declared_frames != len(short)
        assert len(list(source)) == len(short)


def no_video(folder, kind):
    path = folder / f"{kind}.avi"
    if kind == "audio":
        return write_audio(path)
    if kind in ("empty", "text"):
        path.write_bytes(b"" if kind == "empty" else b"time,hr\n0,60\n" * 500)
        return path
    return {
        "missing": path,
        "long": folder / ("x" * 300 + ".avi"),
        "nul": str(folder / "a\0b.avi"),
        "bare": folder,
    }[kind]


@pytest.mark.parametrize("kind", ["audio", "empty", "text", "missing", "long", "nul", "bare"])
def test_what_is_no_video_is_refused_in_one_line(tmp_path, kind):
    with pytest.raises(VideoError) as refused:
        read(no_video(tmp_path, kind))
    assert "\n" not in str(refused.value)


def test_a_colon_in_a_name_is_no_protocol(tmp_path, short, monkeypatch):
    write_video(tmp_path / "plain.mp4", short).rename(tmp_path / "rtsp:12.30.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(read("rtsp:12.30.mp4")) == len(short)


def test_numbered_videos_are_no_series_of_images(tmp_path, short):
    """A guessing backend takes `vid_01.avi` for the first picture of a series."""
    for i in (1, 2):
        write_video(tmp_path / f"vid_0{i}.avi", short[: 30 * i], codec="mjpeg")
    assert len(read(tmp_path / "vid_01.avi")) == 30


def test_a_camera_that_is_not_there_is_refused():
    with pytest.raises(VideoError, match="camera 93"):
        Camera(93)
    with pytest.raises(VideoError, match="camera 93"):
        open_source("93")


def test_a_superscript_is_no_camera():
    with pytest.raises(VideoError, match="no such video"):
        open_source("²")


class TestImageFolders:
    def test_numbers_are_in_natural_order(self, tmp_path):
        folder = write_images(tmp_path, [f"f{i}.png" for i in range(12)], grey(12))
        values = [int(f.rgb[0, 0, 0]) for f in read(folder, fps=25)]
        assert values == [10 + 2 * i for i in range(12)]

    def test_names_may_carry_the_clock(self, tmp_path):
        start_ns, step_ns = 1392643993642815000, 33_371_000
        names = [f"Image{start_ns + i * step_ns}.png" for i in range(9)]
        folder = write_images(tmp_path, names, grey(9))
        assert times_of(folder) == pytest.approx(np.arange(9) * step_ns * 1e-9, abs=1e-6)

    def test_a_list_of_times_outranks_names(self, tmp_path):
        folder = write_images(tmp_path, [f"{1392643993642 + i}.png" for i in range(4)], grey(4))
        (folder / "timestamps.txt").write_text("0.0\n0.05\n0.1\n0.2\n")
        assert times_of(folder) == pytest.approx([0, 0.05, 0.1, 0.2])

    def test_given_times_outrank_all(self, tmp_path):
        folder = write_images(tmp_path, [f"{i}.png" for i in range(4)], grey(4))
        (folder / "timestamps.txt").write_text("0 1 2 3")
        assert times_of(folder, times_s=[5, 6, 7, 9], fps=30) == pytest.approx([5, 6, 7, 9])

    def test_a_frame_rate_is_the_last_resort(self, tmp_path):
        folder = write_images(tmp_path, [f"{i}.png" for i in range(4)], grey(4))
        assert times_of(folder, fps=20) == pytest.approx([0, 0.05, 0.1, 0.15])

    @pytest.mark.parametrize("fps", [None, 0, -5, float("nan"), float("inf")])
    def test_without_any_clock_it_is_refused(self, tmp_path, fps):
        folder = write_images(tmp_path, [f"{i}.png" for i in range(4)], grey(4))
        with pytest.raises(VideoError, match="carry no times"):
            read(folder, fps=fps)

    def test_long_frame_numbers_are_no_clock(self, tmp_path):
        folder = write_images(tmp_path, [f"{i:016}.png" for i in range(4)], grey(4))
        assert times_of(folder, fps=20) == pytest.approx([0, 0.05, 0.1, 0.15])

    @pytest.mark.parametrize("listed", ["0\n1\n", "0 1 2 x", "0 1 2 3 4 5 6 nan", "", "\xff\xfe"])
    def test_an_unusable_list_of_times_is_refused(self, tmp_path, listed):
        folder = write_images(tmp_path, [f"{i}.png" for i in range(8)], grey(8))
        (folder / "timestamps.txt").write_bytes(listed.encode("latin-1"))
        with pytest.raises(VideoError) as refused:
            read(folder)
        assert "\n" not in str(refused.value)

    def test_a_damaged_image_is_named(self, tmp_path):
        folder = write_images(tmp_path, [f"{i}.png" for i in range(4)], grey(4))
        (folder / "2.png").write_bytes(b"\x89PNG no more")
        with pytest.raises(VideoError, match=r"2\.png"):
            read(folder, fps=30)

    def test_images_of_another_size_are_refused(self, tmp_path):
        mixed = [*grey(3), np.zeros((20, 20, 3), np.uint8)]
        folder = write_images(tmp_path, [f"{i}.png" for i in range(4)], mixed)
        with pytest.raises(VideoError, match="frame 3 is 20 x 20"):
            read(folder, fps=30)


READ_AND_REPORT = """
import resource, sys
from rppg_core.video import open_source
frames = 0
for path in sys.argv[1:]:
    with open_source(path) as source:
        frames += sum(1 for _ in source)
print(frames, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.board
def test_memory_does_not_grow_with_the_recording(tmp_path):
    peaks = {}
    rng = np.random.default_rng(1)
    noise = [cv2.blur(rng.integers(0, 255, (120, 160, 3), np.uint8), (5, 5)) for _ in range(8)]
    for seconds in (10, 100):
        frames = (noise[i % 8] for i in range(seconds * 30))
        path = write_video(tmp_path / f"{seconds}.mp4", frames)
        done = subprocess.run(
            [sys.executable, "-c", READ_AND_REPORT, str(path)],
            capture_output=True,
            text=True,
            check=True,
        )
        count, peaks[seconds] = map(int, done.stdout.split())
        assert count == seconds * 30
    assert peaks[100] - peaks[10] < 6_000  # kB; 2,700 frames of 57.6 kB would be 155,000
