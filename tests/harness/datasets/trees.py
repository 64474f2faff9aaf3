"""Small copies of datasets with rendered faces: names, codecs, units and oddities as in the real.

One clip is rendered and written at each dataset's own frame rate, so its pulse is faster or slower
there: `Clip.bpm_at(fps)`. Labels are sampled from the same simulated pulse.
"""

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import h5py
import numpy as np
from scipy.io import savemat

from harness.datasets.clips import FPS, ClipSpec
from harness.datasets.rendering import render_frames

WIDTH, HEIGHT, FRAMES = 320, 240, 200
BPM = 80.0  # at 30 frames a second: 53 at 20, 93 at 35
START_NS = 1392643993642815000  # of a real recording of PURE


@dataclass(frozen=True, eq=False)
class Clip:
    """Rendered RGB frames, and the pulse at each."""

    frames: list
    wave: np.ndarray
    bpm: np.ndarray

    @property
    def count(self):
        return len(self.wave)

    def part(self, count):
        return Clip(self.frames[:count], self.wave[:count], self.bpm[:count])

    def bpm_at(self, fps):
        return float(self.bpm.mean()) * fps / FPS

    def pulse(self, times_s, fps):
        """The pulse at times after the first frame, of the clip shown at `fps`."""
        return np.interp(times_s * fps, np.arange(self.count), self.wave)

    def wave_at(self, rate_hz, fps):
        """Samples of the pulse for as long as the clip lasts at `fps`."""
        return self.pulse(np.arange(int(self.count / fps * rate_hz)) / rate_hz, fps)


def render():
    spec = ClipSpec("clip", WIDTH, HEIGHT, FRAMES, 7, BPM, False, 0.01, 0.2, False)
    beat = spec.heartbeat()
    return Clip(list(render_frames(spec)), beat.wave, beat.bpm)


def without_frames(clip):
    """The same labels, quickly: videos are files that cannot be played."""
    return Clip([], clip.wave, clip.bpm)


def write_avi(path, clip, fps, codec="mjpeg"):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not clip.frames:
        path.write_bytes(b"not played here")
        return
    with av.open(str(path), "w", format="avi") as container:
        rate = Fraction(fps).limit_denominator(1000)
        stream = container.add_stream(codec, rate=rate, options={"qmin": "1", "qmax": "2"})
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = {"mjpeg": "yuvj420p", "mpeg4": "yuv420p"}[codec]
        stream.codec_context.bit_rate = 8_000_000
        for rgb in clip.frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))


def vipl_hr_v2(root, clip, subjects=(7, 8), fps=25.0):
    """`train/N/` with five videos and gt.csv, its spaces as the challenge left them."""
    for subject in subjects:
        folder = root / "train" / str(subject)
        for number in range(1, 6):
            write_avi(folder / f"video{number}.mp4.avi", clip, fps)
        bpm = " ,".join(f"{clip.bpm_at(fps):f}" for _ in range(4)) + f", {clip.bpm_at(fps):f}"
        rate = " ,".join(f"{fps:f}" for _ in range(4)) + f", {fps:f}"
        (folder / "gt.csv").write_text(
            f"  ,video1 ,video2 ,video3 ,video4, video5\nHeart rate ,{bpm}\nfps_mean ,{rate}\n"
        )
    return root


def camera_times_ms(count, fps, seed=3):
    """Whole ms of a camera that is a little late now and then."""
    late = np.random.default_rng(seed).integers(0, 5, count)
    late[0] = 0
    return np.round(np.arange(count) * 1000 / fps).astype(int) + late


def vipl_hr_v1(root, clip, recordings=("p1/v1/source1", "p1/v1/source2"), fps=29.8):
    """Containers of 25 fps, the real times in time.txt (not of source2), Windows' line ends."""
    for recording in recordings:
        folder = root / recording
        phone = folder.name == "source2"
        shown = 30.0 if phone else fps
        write_avi(folder / "video.avi", clip, 30 if phone else 25)
        lasts_s = clip.count / shown
        bpm = [f"{round(clip.bpm_at(shown))}" for _ in range(int(lasts_s))]
        wave = [f"{round(40 + 30 * value)}" for value in clip.wave_at(60.0, shown)]
        (folder / "gt_HR.csv").write_bytes("\r\n".join(["HR", *bpm, ""]).encode())
        (folder / "gt_SpO2.csv").write_bytes("\r\n".join(["SpO2", *["98"] * len(bpm), ""]).encode())
        (folder / "wave.csv").write_bytes("\r\n".join(["Wave", *wave, ""]).encode())
        if not phone:
            times = camera_times_ms(clip.count, shown)
            (folder / "time.txt").write_text("".join(f"{time}\n" for time in times))
    return root


def pure_labels(clip, fps=30.0):
    """What a JSON file of PURE holds: whole ns, the sensor's clock a little before the camera's."""
    times_ns = START_NS + np.round(np.arange(clip.count) / fps * 1e9).astype(np.int64)
    lasts_s = clip.count / fps
    seconds = np.arange(-6, int(lasts_s * 60) + 6) / 60
    samples = [
        {
            "Timestamp": int(START_NS + round(time_s * 1e9)),
            "Value": {
                "beep": False,
                "o2saturation": 97,
                "pulseRate": round(clip.bpm_at(fps)),
                "signalStrength": 5,
                "waveform": round(60 + 40 * float(clip.pulse(np.array(max(time_s, 0.0)), fps))),
            },
        }
        for time_s in seconds
    ]
    images = [{"Timestamp": int(time_ns), "Value": {}} for time_ns in times_ns]
    return {"/FullPackage": samples, "/Image": images}


def pure(root, clip, names=("01-01", "01-02"), nested=True):
    """Images named by their time; `nested` as the archives unpack, else all in one folder."""
    content = pure_labels(clip)
    for name in names:
        images = root / name / name if nested else root / name
        images.mkdir(parents=True)
        labels = (root / name if nested else root) / f"{name}.json"
        labels.write_text(json.dumps(content, indent=1))
        for number, entry in enumerate(content["/Image"]):
            path = images / f"Image{entry['Timestamp']}.png"
            if clip.frames:
                bgr = cv2.cvtColor(clip.frames[number], cv2.COLOR_RGB2BGR)
                cv2.imwrite(str(path), bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])
            elif number < 2:
                path.write_bytes(b"")
    return root


def ubfc_phys(root, clip, subjects=("s1", "s2"), tasks=("T1", "T2", "T3")):
    """The wristband's wave without a header, beside files that nobody asked for."""
    wave = "".join(f"{120 * value:.2f}\n" for value in clip.wave_at(64.0, 35.0))
    for subject in subjects:
        for task in tasks:
            write_avi(root / subject / f"vid_{subject}_{task}.avi", clip, 35)
            (root / subject / f"bvp_{subject}_{task}.csv").write_text(wave)
            (root / subject / f"eda_{subject}_{task}.csv").write_text("0.5\n" * 20)
        (root / subject / f"info_{subject}.txt").write_text(f"{subject}\nm\ntest\n")
    return root


def cohface(root, clip, subjects=("1", "2"), sessions=("0", "1", "2", "3")):
    """MPEG-4 at 20 fps; pulse, respiration and time at 256 Hz in HDF5."""
    wave = 3 * clip.wave_at(256.0, 20.0)
    for subject in subjects:
        for session in sessions:
            folder = root / subject / session
            write_avi(folder / "data.avi", clip, 20, codec="mpeg4")
            with h5py.File(folder / "data.hdf5", "w") as file:
                file["pulse"] = wave
                file["respiration"] = np.sin(np.arange(len(wave)) / 1000)
                file["time"] = np.arange(len(wave)) / 256
                file.attrs["sample-rate-hz"] = 256
    return root


WORDS = {
    "light": "LED-low",
    "motion": "Stationary (after exercise)",
    "exercise": "True",
    "skin_color": 3,
    "gender": "male",
    "glasser": "False",
    "hair_cover": "True",
    "makeup": "False",
}


def mmpd_file(path, clip, words=None, hdf5=False, dtype=np.float32, shape=(8, 6)):
    """One trial, to v7 or as v7.3; without frames, its video is of `shape` (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if clip.frames:
        video = np.stack(clip.frames)
    else:
        video = np.random.default_rng(1).integers(0, 255, (clip.count, *shape, 3), np.uint8)
    if dtype != np.uint8:
        video = (video / 255).astype(dtype)
    content = {**WORDS, **(words or {}), "GT_ppg": clip.wave[None].astype(np.float32)}
    if not hdf5:
        savemat(path, {**content, "video": video}, do_compression=not clip.frames)
        return path
    with h5py.File(path, "w", userblock_size=512) as file:
        file["video"] = video.transpose()
        for name, value in content.items():
            text = isinstance(value, str)
            codes = np.array([[ord(letter)] for letter in value], np.uint16) if text else value
            file[name] = np.atleast_2d(codes) if text else np.atleast_2d(codes).T
            file[name].attrs["MATLAB_class"] = np.bytes_("char" if text else "double")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: PCWIN64".ljust(124) + b"\x00\x02IM")
    return path


def mmpd(root, clip, trials=("subject1/p1_0", "subject1/p1_1"), **options):
    for trial in trials:
        mmpd_file(root / f"{trial}.mat", clip, **options)
    return root


def files_of(root: Path):
    """Every file below a root, by its path there."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
