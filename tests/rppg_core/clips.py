"""Videos made for tests: a still face whose skin pulses, in containers good and bad."""

import wave
from fractions import Fraction

import av
import cv2
import numpy as np

WIDTH, HEIGHT = 320, 240
FPS = 30.0
RATE_HZ = 1.2  # 72 bpm
PULSE_RGB = (0.5, 1.5, 0.9)  # amplitude in 8-bit steps
NOISE_FIELDS = 16  # drawn once and reused: drawing noise costs more than encoding it
CLOCK = Fraction(1, 1000)  # s; what PyAV counts a variable clock in


def steady_times(seconds, fps=FPS):
    return np.arange(round(seconds * fps)) / fps


def jittered_times(seconds, fps=FPS, seed=5):
    """Frame times of a camera that slows down and speeds up, in whole ms."""
    rng = np.random.default_rng(seed)
    steps = rng.uniform(0.5, 1.5, round(seconds * fps)) / fps
    return np.round(np.cumsum(steps) - steps[0], 3)


def framed(portrait):
    """The portrait's head and shoulders as a (240, 320, 3) uint8 frame."""
    return cv2.resize(portrait[0:260, 50:397], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def pulsing(portrait, times_s, rate_hz=RATE_HZ, seed=0):
    """One RGB frame for each of `times_s`; light off it swings at `rate_hz` like perfused skin."""
    still = framed(portrait).astype(np.float32)
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1.2, (NOISE_FIELDS, *still.shape)).astype(np.float32)
    for time_s in times_s:
        beat = np.float32(PULSE_RGB) * np.float32(np.sin(2 * np.pi * rate_hz * time_s))
        shown = still * (1 + beat / 128) + noise[rng.integers(NOISE_FIELDS)]
        yield np.clip(np.rint(shown), 0, 255).astype(np.uint8)


def write_video(path, frames, fps=FPS, times_s=None, codec="libx264", container=None):
    """Encode RGB frames; `times_s` gives each its own timestamp, else they stand at `fps`."""
    formats = {"mjpeg": "yuvj420p", "rawvideo": "bgr24", "ffv1": "bgr0"}
    options = {"crf": "10", "preset": "ultrafast"} if codec == "libx264" else {}
    with av.open(str(path), "w", options=container or {}) as out:
        stream = out.add_stream(codec, rate=Fraction(fps).limit_denominator(1000), options=options)
        stream.pix_fmt = formats.get(codec, "yuv420p")
        if codec == "mjpeg":
            stream.codec_context.bit_rate = 20_000_000
        if times_s is not None:
            stream.codec_context.time_base = CLOCK
        for number, rgb in enumerate(frames):
            if number == 0:
                stream.height, stream.width = rgb.shape[:2]
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            if times_s is not None:
                frame.pts, frame.time_base = round(times_s[number] / CLOCK), CLOCK
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def write_rotated(path, upright, turns):
    """An mp4 that stores frames turned by `turns` quarters and says how to show them upright."""
    write_video(path, (np.ascontiguousarray(np.rot90(rgb, turns)) for rgb in upright))
    one = 0x10000
    matrices = {1: (0, one, 0, -one, 0, 0), 2: (-one, 0, 0, 0, -one, 0), 3: (0, -one, 0, one, 0, 0)}
    content = bytearray(path.read_bytes())
    header = content.index(b"tkhd")
    assert content[header + 4] == 0, "a version 1 header has its matrix elsewhere"
    start = header + 44  # after type, version and flags, times, id, duration, layer, volume
    for i, value in enumerate(matrices[turns]):
        content[start + 4 * i : start + 4 * i + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(content)
    return path


def write_cut(path, whole, share):
    """The first `share` of a file's bytes, as an interrupted copy leaves them."""
    content = whole.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def write_audio(path, seconds=2):
    """A second or two of sound (RIFF, as an AVI is too) under whatever name."""
    rate = 8000
    tone = np.int16(8000 * np.sin(2 * np.pi * 440 * np.arange(seconds * rate) / rate))
    with path.open("wb") as stream, wave.open(stream, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(tone.tobytes())
    return path


def write_images(folder, names, frames):
    folder.mkdir(parents=True, exist_ok=True)
    for name, rgb in zip(names, frames, strict=True):
        assert cv2.imwrite(str(folder / name), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return folder


def landscape(times_s):
    """Frames without a face: soft moving stripes."""
    x = np.linspace(0, 6 * np.pi, WIDTH)
    for time_s in times_s:
        row = 128 + 60 * np.sin(x + time_s)
        yield np.repeat(row[None, :, None], HEIGHT, 0).repeat(3, 2).astype(np.uint8)
