"""Video files that give back the very pixels they were made from (FFV1 in AVI)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av

from harness.datasets.encoding import Frame

CODEC, PIXELS, SUFFIX = "ffv1", "bgr0", ".avi"


def write_lossless(frames: Iterable[Frame], path: Path, fps: int) -> None:
    """Write RGB frames (height, width, 3) to `path`, which appears whole or not at all.

    Raises OSError where the folder cannot take it, and ValueError for frames of no size.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".partial-", suffix=SUFFIX, dir=path.parent)
    partial = Path(name)
    try:
        _encode(frames, partial, fps)
        os.fsync(handle)
        partial.chmod(0o644)  # mkstemp makes it private
        partial.replace(path)
    finally:
        os.close(handle)
        partial.unlink(missing_ok=True)


def _encode(frames: Iterable[Frame], path: Path, fps: int) -> None:
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream(CODEC, rate=fps)
        stream.pix_fmt = PIXELS
        stream.codec_context.thread_count = 1
        for index, rgb in enumerate(frames):
            if index == 0:
                stream.height, stream.width = rgb.shape[:2]
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=PIXELS)
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
