"""Frames with their own timestamps, upright and RGB, from a file, a folder of images or a camera.

Time comes from the container (or from a label file, or the camera's clock), never from an assumed
frame rate. One frame is held at a time, whatever the length of the recording.
"""

import os
import re
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import cv2
import numpy as np

from rppg_core.errors import VideoError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".ppm")
SMALLEST_STEP_S = 0.001  # a repeated timestamp is moved on by this much
LARGEST_REWIND_S = 1.0  # a clock that falls back further than this is broken, not jittery
MOST_MOVED = 0.5  # with a larger share of timestamps moved, there is no clock to speak of
MISSING_SHARE = 0.02  # a file that yields fewer of its declared frames than this is truncated
LENGTH_TOLERANCE_FRAMES = 3  # label rows and video frames may differ by this many
TIMES_FILE = "timestamps.txt"
# Frame numbers are short; a longer number in an image's name is a clock reading.
CLOCK_DIGITS = ((18, 1e-9), (15, 1e-6), (13, 1e-3))

Source = Union[str, int, "os.PathLike[str]"]


class Frame(NamedTuple):
    """One video frame: `rgb` (height, width, 3) uint8, shown at `time_s`, counted from 0."""

    number: int
    time_s: float
    rgb: np.ndarray


class FrameSource(ABC):
    """An open recording: iterate it once for its frames; close it, or use `with`."""

    declared_frames: Optional[int] = None
    moved_timestamps: int = 0

    def __iter__(self) -> Iterator[Frame]:
        """Frames in order, with strictly increasing times."""
        last_s = -float("inf")
        number = 0
        shape: Tuple[int, ...] = ()
        for read_s, rgb in self._read():
            time_s = read_s
            shape = shape or rgb.shape
            if rgb.shape != shape:
                raise VideoError(
                    f"{self}: frame {number} is {rgb.shape[1]} x {rgb.shape[0]} px, the ones "
                    f"before are {shape[1]} x {shape[0]}; cut or scale it to one size"
                )
            if time_s <= last_s:
                if last_s - time_s > LARGEST_REWIND_S:
                    raise VideoError(
                        f"{self}: time falls back by {last_s - time_s:.1f} s at frame {number}; "
                        "re-mux the recording or give its frame times"
                    )
                time_s = last_s + SMALLEST_STEP_S
                self.moved_timestamps += 1
            last_s = time_s
            yield Frame(number, time_s, rgb)
            number += 1
        if number == 0:
            raise VideoError(f"{self}: no frame could be decoded; is it a video?")
        if self.moved_timestamps > MOST_MOVED * number:
            raise VideoError(
                f"{self}: there are no frame times in it ({self.moved_timestamps} of {number} "
                "repeat or fall back); put it into an mp4 or mkv, or give its frame times"
            )

    @abstractmethod
    def _read(self) -> Iterator[Tuple[float, np.ndarray]]:
        """(time in s, RGB frame) pairs as the medium has them."""

    def close(self) -> None:  # noqa: B027
        """Give back what is held open."""

    def __enter__(self) -> "FrameSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_source(
    source: Source,
    times_s: Optional[Sequence[float]] = None,
    fps: Optional[float] = None,
    threads: int = 1,
) -> FrameSource:
    """Open a video file, a folder of images, or a camera (an index).

    `times_s` (one per frame) replaces the medium's own clock; `fps` is only for a folder of images
    that carries no clock. Raises VideoError with one line when the source cannot be used.
    """
    if isinstance(source, int) or (isinstance(source, str) and source.isdecimal()):
        return Camera(int(source))
    path = Path(source)
    try:
        if path.is_dir():
            return ImageFolder(path, times_s, fps)
        return VideoFile(path, times_s, threads)
    except (OSError, ValueError) as bad:  # a name too long, a NUL in it, a folder that is barred
        reason = getattr(bad, "strerror", None) or bad
        raise VideoError(f"{str(path)!r}: cannot be opened ({reason})") from None


class VideoFile(FrameSource):
    """A video file, decoded by OpenCV's FFmpeg; frames come upright."""

    def __init__(
        self, path: Path, times_s: Optional[Sequence[float]] = None, threads: int = 1
    ) -> None:
        self.path = path
        self._times_s = None if times_s is None else _finite(times_s, path)
        if not path.is_file():
            raise VideoError(f"{path}: no such video")
        if path.stat().st_size == 0:
            raise VideoError(f"{path}: the file is empty; fetch or record it again")
        # An absolute path: FFmpeg takes what stands before a colon for a protocol.
        self._capture = _open_capture(str(path.absolute()), threads)
        if not self._capture.isOpened() or self._capture.get(cv2.CAP_PROP_FRAME_WIDTH) < 1:
            raise VideoError(
                f"{path}: no video stream in it can be decoded; "
                "it may be cut off, damaged or no video (try to play it, or convert it)"
            )
        declared = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.declared_frames = int(declared) if 0 < declared < 1e8 else None
        if self._times_s is not None and self.declared_frames is not None:
            self._check_length(self.declared_frames, max(3.0, 0.1 * len(self._times_s)))

    def __str__(self) -> str:
        return str(self.path)

    def _read(self) -> Iterator[Tuple[float, np.ndarray]]:
        declared_fps = self._capture.get(cv2.CAP_PROP_FPS)
        count, last_s, bgr = 0, 0.0, None
        while True:
            ok, bgr = self._capture.read(bgr)
            if not ok:
                break
            last_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
            if self._times_s is None:
                yield last_s, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            elif count < len(self._times_s):
                yield self._times_s[count], cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            count += 1
        if count:
            self._check_complete(count, last_s, declared_fps)
            if self._times_s is not None:
                self._check_length(count, LENGTH_TOLERANCE_FRAMES)

    def _check_complete(self, count: int, last_s: float, declared_fps: float) -> None:
        """Refuse a file that ends early both by its frame count and by its clock."""
        declared = self.declared_frames
        if declared is None or declared_fps <= 0 or count >= declared * (1 - MISSING_SHARE) - 1:
            return
        if last_s < (declared * (1 - MISSING_SHARE) - 2) / declared_fps:
            raise VideoError(
                f"{self.path}: truncated, only {count} of {declared} frames could be decoded; "
                "fetch it again, or cut it cleanly where it breaks off"
            )

    def _check_length(self, frames: int, tolerance: float) -> None:
        rows = len(self._times_s or ())
        if abs(frames - rows) > tolerance:
            raise VideoError(
                f"{self.path}: {frames} frames but {rows} frame times in its labels; "
                "video and labels do not belong together"
            )

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


class ImageFolder(FrameSource):
    """A folder of images in natural order.

    Time comes from `times_s`, else from a `timestamps.txt` (one time in s per line), else from
    clock readings in the file names (as PURE has them, in ns), else from `fps`.
    """

    def __init__(
        self,
        folder: Path,
        times_s: Optional[Sequence[float]] = None,
        fps: Optional[float] = None,
    ) -> None:
        self.folder = folder
        found = (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        self._images = sorted(found, key=_natural_key)
        if not self._images:
            raise VideoError(f"{folder}: no images in this folder ({', '.join(IMAGE_SUFFIXES)})")
        self.declared_frames = len(self._images)
        self._times_s = self._clock(times_s, fps)
        if abs(len(self._times_s) - len(self._images)) > LENGTH_TOLERANCE_FRAMES:
            raise VideoError(
                f"{folder}: {len(self._images)} images but {len(self._times_s)} frame times"
            )

    def __str__(self) -> str:
        return str(self.folder)

    def _clock(self, times_s: Optional[Sequence[float]], fps: Optional[float]) -> List[float]:
        if times_s is not None:
            return _finite(times_s, self.folder)
        listed = self.folder / TIMES_FILE
        if listed.is_file():
            try:
                return _finite([float(line) for line in listed.read_text().split()], listed)
            except ValueError as bad:
                raise VideoError(f"{listed}: one time in seconds per line, please: {bad}") from None
        named = [_clock_reading_s(p.stem) for p in self._images]
        readings = [t for t in named if t is not None]
        if len(readings) == len(named):
            return [t - readings[0] for t in readings]
        if fps is None or not 0 < fps < float("inf"):
            raise VideoError(
                f"{self.folder}: the images carry no times; add {TIMES_FILE} "
                "(one time in s per line) or give the frame rate"
            )
        return [i / fps for i in range(len(self._images))]

    def _read(self) -> Iterator[Tuple[float, np.ndarray]]:
        for time_s, path in zip(self._times_s, self._images):
            bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if bgr is None:
                raise VideoError(f"{path}: this image cannot be read; fetch it again")
            yield time_s, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


class Camera(FrameSource):
    """A live camera by its index; frames are stamped with the monotonic clock as they arrive."""

    def __init__(self, index: int) -> None:
        self.index = index
        self._capture = cv2.VideoCapture(index)
        if not self._capture.isOpened():
            raise VideoError(f"camera {index} cannot be opened; is it plugged in and free?")

    def __str__(self) -> str:
        return f"camera {self.index}"

    def _read(self) -> Iterator[Tuple[float, np.ndarray]]:
        start_s = None
        while True:
            ok, bgr = self._capture.read()
            if not ok:
                return
            now_s = time.monotonic()
            start_s = now_s if start_s is None else start_s
            yield now_s - start_s, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        """Free the camera."""
        self._capture.release()


def _open_capture(path: str, threads: int) -> Any:
    """FFmpeg by name: a guessed backend may take `vid_01.avi` for a series of images."""
    api = getattr(cv2, "CAP_FFMPEG", cv2.CAP_ANY)
    if hasattr(cv2, "CAP_PROP_N_THREADS"):
        capture = cv2.VideoCapture(path, api, [cv2.CAP_PROP_N_THREADS, threads])
    else:
        capture = cv2.VideoCapture(path, api)
    if hasattr(cv2, "CAP_PROP_ORIENTATION_AUTO"):
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture


def _finite(times_s: Sequence[float], whose: Path) -> List[float]:
    given = [float(t) for t in times_s]
    if not np.all(np.isfinite(given)):
        raise VideoError(f"{whose}: a frame time that is no finite number; mend its labels")
    return given


def _natural_key(path: Path) -> List[Any]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]


def _clock_reading_s(stem: str) -> Optional[float]:
    match = re.search(r"([1-9]\d*)$", stem)  # padded with zeros it is a frame number
    if match:
        for digits, unit_s in CLOCK_DIGITS:
            if len(match.group(1)) >= digits:
                return int(match.group(1)) * unit_s
    return None
