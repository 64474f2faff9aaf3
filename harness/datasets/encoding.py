"""Video files small enough to send to a board, in which a pulse still lives.

A pulse changes a pixel by less than one step. At its defaults x264 takes such a change in a block
for nothing and repeats the block before: at CRF 20 no pulse was left in a face at rest. Here the
face is given a finer quantiser than the rest of the frame, and small coefficients are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
import numpy.typing as npt

from harness.datasets.base import FloatArray

Frame = npt.NDArray[np.uint8]

# Chosen by measurement on faces with a pulse of 0.4 % in green: these keep a correlation of 0.96
# with the truth, against 0.99 before encoding, in 1 Mbit/s; raising CRF or QP_SHARE loses it.
CRF = 26
FACE_QP_SHARE = -0.2  # of x264's range of 51: the face is encoded as at CRF 16
PRESET = "veryfast"
KEEP_SMALL_CHANGES = (
    "no-dct-decimate=1:no-fast-pskip=1:psy=0:mbtree=0:deadzone-inter=6:deadzone-intra=6"
)
KEYFRAME_EVERY = 60
MP4_TICKS_HZ = 90_000


@dataclass(frozen=True)
class Box:
    """Pixels of a frame from (left, top) on."""

    left: int
    top: int
    width: int
    height: int

    def turned(self, turned_deg: int, width: int, height: int) -> Box:
        """The box in a frame of `width` x `height` that is turned anticlockwise."""
        box = self
        for _ in range(turned_deg // 90):
            box = Box(box.top, width - box.left - box.width, box.height, box.width)
            width, height = height, width
        return box


def encode(
    frames: Iterator[Frame],
    path: Path,
    times_s: FloatArray,
    face: Box,
    bitrate_kbps: int = 0,
    turned_deg: int = 0,
) -> None:
    """Write upright RGB frames (height, width, 3), even-sided, to `path` as H.264, AVI or mp4.

    `times_s` (frames,) are evenly spaced in an AVI. A `bitrate_kbps` encodes as x264 does by
    itself, without care for the face. `turned_deg` (0, 90, 180, 270) stores the frames turned,
    with the container saying by how much to turn them clockwise to have them upright; mp4 only.
    """
    rate_hz = round((len(times_s) - 1) / float(times_s[-1] - times_s[0]))
    mp4 = path.suffix == ".mp4"
    clock = Fraction(1, MP4_TICKS_HZ) if mp4 else Fraction(1, rate_hz)
    marker: _FaceMarker | None = None
    with av.open(str(path), "w", format=path.suffix[1:]) as container:
        stream = container.add_stream("libx264", rate=rate_hz, options=_options(bitrate_kbps))
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # one thread gives the same file every time
        stream.codec_context.time_base = clock
        if bitrate_kbps:
            stream.bit_rate = bitrate_kbps * 1000
        if turned_deg:
            stream.set_display_rotation(-turned_deg)  # FFmpeg counts anticlockwise
        for index, (time_s, upright) in enumerate(zip(times_s, frames, strict=True)):
            rgb = np.ascontiguousarray(np.rot90(upright, turned_deg // 90))
            if index == 0:
                stream.height, stream.width = rgb.shape[:2]
                if not bitrate_kbps:
                    region = face.turned(turned_deg, upright.shape[1], upright.shape[0])
                    marker = _FaceMarker(stream.width, stream.height, clock, region)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = round(float(time_s) / clock), clock
            container.mux(stream.encode(marker.mark(frame) if marker else frame))
        container.mux(stream.encode(None))


class _FaceMarker:
    """Tells the encoder which part of a frame to treat better."""

    def __init__(self, width: int, height: int, clock: Fraction, face: Box) -> None:
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(
            width=width, height=height, format="yuv420p", time_base=clock
        )
        region = f"x={face.left}:y={face.top}:w={face.width}:h={face.height}"
        marker = self._graph.add("addroi", f"{region}:qoffset={FACE_QP_SHARE}")
        sink = self._graph.add("buffersink")
        source.link_to(marker)
        marker.link_to(sink)
        self._graph.configure()

    def mark(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The same frame with its face marked."""
        self._graph.push(frame)
        return self._graph.pull()


def _options(bitrate_kbps: int) -> dict[str, str]:
    # AVI cannot tell the order of B-frames, and a camera has no time for them.
    options = {"preset": PRESET, "g": str(KEYFRAME_EVERY), "bf": "0"}
    if bitrate_kbps:
        return options
    return {**options, "crf": str(CRF), "x264-params": KEEP_SMALL_CHANGES}
