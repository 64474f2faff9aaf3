"""Records of recordings that never were, in the form that a campaign writes them."""

from pathlib import Path

import numpy as np

from harness.datasets.physiology import simulate
from harness.datasets.signals import Signals
from harness.window_truth import truth_block
from rppg_core.pipeline import STAGES, Settings
from rppg_core.postprocess import pulse_wave, wave_heart_rate
from rppg_core.records import RECORD_SCHEMA, write_json
from rppg_core.replay import record_name

FPS = 30.0


def make_record(
    name: str,
    bpm: float,
    *,
    seconds: float = 12.0,
    noise: float = 0.3,
    variant: str = "float32",
    dataset: str = "made",
    subject: str | None = None,
    conditions: dict[str, str] | None = None,
    light: float = 0.5,
    speed: float = 0.004,
    synthetic: bool = True,
    fails: bool = False,
    seed: int = 0,
) -> dict:
    """A record of a pulse of `bpm` in noise, whole; `fails` makes one of a face never found."""
    settings = Settings()
    rng = np.random.default_rng([seed, *name.encode()])
    beat = simulate(rng, bpm, round(seconds * FPS), FPS)
    times_s = np.arange(len(beat.wave)) / FPS
    derivative = np.diff(beat.wave, prepend=beat.wave[0]) / np.std(np.diff(beat.wave))
    own = np.random.default_rng([seed, *name.encode(), *variant.encode()])
    derivative = derivative + noise * (own if variant != "float32" else rng).standard_normal(
        len(derivative)
    )
    wave = pulse_wave(derivative, times_s, settings.pulse)
    rate = wave_heart_rate(wave, settings.pulse)
    signals = Signals(frame_times_s=times_s, ppg=beat.wave, ppg_times_s=times_s)
    samples = round(seconds * 4)
    record = {
        "schema": RECORD_SCHEMA,
        "recording": name,
        "model": {"name": f"tscan-made/{variant}"},
        "detector": "haar",
        "settings": settings.to_dict(),
        "runtime": {"name": "litert", "version": "2", "threads": 1},
        "surroundings": {
            "frames": len(times_s),
            "frames_with_face": 0 if fails else len(times_s),
            "time_s": (np.arange(samples) / 4).tolist(),
            "luminance": [] if fails else [light] * samples,
            "speed": [] if fails else [None, *[speed] * (samples - 1)],
        },
        "campaign": {
            "board": "local",
            "dataset": dataset,
            "variant": variant,
            "synthetic": synthetic,
            "recording": name,
            "subject": name if subject is None else subject,
            "conditions": conditions or {},
            "reference_bpm": bpm,
            "labels": "ppg-fft",
            "truth": truth_block(signals, "ppg-fft", np.empty(0) if fails else times_s),
        },
    }
    if fails:
        reason = "no face in any of the 60 frames searched"
        return {**record, "status": "failed", "error": {"kind": "NoFaceError", "message": reason}}
    result = {
        "bpm": rate.bpm,
        "snr_db": rate.snr_db,
        "frames": len(times_s),
        "fps": FPS,
        "duration_s": seconds,
        "lost_frames": [],
        "boxes": [{"frame": 0, "box": [10, 10, 50, 60]}],
        "pulse": {"fps": wave.fps, "start_s": wave.start_s, "samples": wave.samples.tolist()},
        "time_s": times_s.tolist(),
        "derivative": derivative.tolist(),
        "timings_ns": {stage: [1_000_000] * len(times_s) for stage in STAGES},
    }
    return {**record, "status": "ok", "result": result}


def without_new_fields(record: dict) -> dict:
    """The record as it was written before light, motion and the truth of windows were kept."""
    campaign = {k: v for k, v in record["campaign"].items() if k != "truth"}
    old = {k: v for k, v in record.items() if k != "surroundings"}
    return {**old, "campaign": campaign}


def write_records(folder: Path, *records: dict) -> Path:
    """Put records where a campaign would."""
    for record in records:
        campaign = record["campaign"]
        name = record_name(campaign["recording"])
        place = folder / campaign["board"] / record_name(campaign["dataset"])[:8]
        write_json(place / record_name(campaign["variant"])[:8] / name, record)
    return folder
