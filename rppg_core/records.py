"""What a replay leaves behind: one durable, versioned JSON file per recording.

A record is complete: every figure and report can be made again from records, without the board.
"""

import json
import os
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Union

import numpy as np

from rppg_core.errors import UserError
from rppg_core.pipeline import STAGES, Result

RECORD_SCHEMA = "rppg-record/1"
OK, FAILED = "ok", "failed"
# What `timings_ns` counts: nanoseconds, or, where one is one, instructions of an emulated board.
NANOSECONDS, INSTRUCTIONS = "ns", "instructions"


@dataclass(frozen=True)
class Record:
    """A record as the host reads it. `result` is None for a replay that failed; `error` says why.

    `times_s` (frames,) and `timings_ns[stage]` (frames,) int64 are NumPy arrays, the latter in
    `timings_unit`; `raw` is the whole JSON object.
    """

    recording: str
    status: str
    error: Optional[str]
    bpm: Optional[float]
    snr_db: Optional[float]
    duration_s: float
    times_s: np.ndarray
    timings_ns: Dict[str, np.ndarray]
    raw: Mapping[str, Any]
    timings_unit: str = NANOSECONDS

    @property
    def ok(self) -> bool:
        """Whether the replay gave a heart rate."""
        return self.status == OK


def result_to_dict(result: Result) -> Dict[str, Any]:
    """A pipeline's result as `write_json` takes it: rows of a value a frame stay arrays."""
    return {
        "bpm": result.bpm,
        "snr_db": result.snr_db,
        "frames": result.frames,
        "fps": result.fps,
        "duration_s": result.duration_s,
        "real_time_factor": result.real_time_factor,
        "lost_s": result.lost_s,
        "searches": result.searches,
        "sightings": result.sightings,
        "windows": [window._asdict() for window in result.windows],
        "boxes": [
            {"frame": number, "box": None if box is None else [round(v, 2) for v in box]}
            for number, box in result.boxes
        ],
        "lost_frames": np.flatnonzero(result.lost).tolist(),
        "pulse": {
            "fps": result.wave.fps,
            "start_s": result.wave.start_s,
            "samples": result.wave.samples,
        },
        "time_s": result.time_s,
        "derivative": result.derivative,
        "timings_ns": dict(result.timings_ns),
    }


def host_facts() -> Dict[str, Any]:
    """The machine and the libraries a replay ran on."""
    import cv2  # noqa: PLC0415 (records can be read where there is no OpenCV)

    return {
        "machine": platform.machine(),
        "kernel": platform.release(),
        "system": platform.system(),
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON so that after a crash the file is either whole or not there.

    Arrays become lists one at a time: a long recording has no room for all of them at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=str(path.parent), prefix=".part-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(content, stream, allow_nan=False, default=_as_list)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise
    folder = os.open(str(path.parent), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_record(path: Union[str, Path]) -> Record:
    """The record in `path`. Raises UserError where it is none or not whole."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as bad:
        raise UserError(f"{path}: cannot be read as a record ({bad}); replay it again") from None
    try:
        return parse_record(content)
    except UserError as bad:
        raise UserError(f"{path}: {bad}") from None


def parse_record(content: Mapping[str, Any]) -> Record:
    """A record from its JSON object. Raises UserError naming what does not fit."""
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != RECORD_SCHEMA:
        raise UserError(
            f"not a {RECORD_SCHEMA} record but {schema!r}; use the version that made it"
        )
    try:
        if content["status"] == FAILED:
            return Record(
                recording=content["recording"],
                status=FAILED,
                error=str(content["error"]["message"]),
                bpm=None,
                snr_db=None,
                duration_s=0.0,
                times_s=np.empty(0),
                timings_ns={},
                raw=content,
                timings_unit=_unit(content),
            )
        if content["status"] != OK:
            raise UserError(f"a record of status {content['status']!r}; replay it again")
        result = content["result"]
        times_s = np.asarray(result["time_s"], dtype=np.float64)
        timings = {s: np.asarray(result["timings_ns"][s], dtype=np.int64) for s in STAGES}
        if len(times_s) < 2 or any(row.shape != times_s.shape for row in timings.values()):
            raise UserError("a record whose rows are not one value per frame; replay it again")
        return Record(
            recording=content["recording"],
            status=OK,
            error=None,
            bpm=_number(result, "bpm"),
            snr_db=_number(result, "snr_db"),
            duration_s=_number(result, "duration_s"),
            times_s=times_s,
            timings_ns=timings,
            raw=content,
            timings_unit=_unit(content),
        )
    except (KeyError, TypeError, ValueError) as bad:
        raise UserError(f"a record without a usable {bad}; replay it again") from None


def _as_list(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")


def _number(result: Mapping[str, Any], name: str) -> float:
    value = result[name]
    if not isinstance(value, (int, float)) or not np.isfinite(value):
        raise ValueError(f"{name}: {value!r} is no finite number")
    return float(value)


def _unit(content: Mapping[str, Any]) -> str:
    unit = content.get("timings_unit", NANOSECONDS)
    if unit not in (NANOSECONDS, INSTRUCTIONS):
        raise ValueError(f"timings_unit: {unit!r} is none that is known")
    return str(unit)


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    fields = {key.strip(): value.strip() for key, value in named.items()}
    return fields.get("model name") or fields.get("CPU part") or platform.processor() or "unknown"
