"""The program a board runs: a job in, one record per recording out.

    python -m rppg_core.replay job.json

Recordings are replayed at full speed, or at the job's `pace` (see `pacing`), and for so many
`minutes` (see `sustained`). Progress goes to stdout, one JSON object a line. Exit status:
0 every recording gave a heart rate, 1 some failed (their records say why), 2 the job is unusable,
3 the board's lease, under which the job was to run, is another's now, 4 its disk is full.
"""

import errno
import hashlib
import json
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

import cv2

from rppg_core import __version__
from rppg_core.errors import UserError
from rppg_core.faces import Detector, make_detector
from rppg_core.memory import peak_memory_bytes
from rppg_core.pacing import FAST, Account, Player, parse_pace
from rppg_core.pipeline import Pipeline, Result, Settings
from rppg_core.records import (
    FAILED,
    INSTRUCTIONS,
    NANOSECONDS,
    OK,
    RECORD_SCHEMA,
    host_facts,
    result_to_dict,
    write_json,
)
from rppg_core.sustained import PERIOD_S, Minutes, check_minutes, sustain
from rppg_core.tscan import TSCAN
from rppg_core.video import Frame, FrameSource, open_source

JOB_SCHEMA = "rppg-job/1"
PROGRESS_EVERY_S = 0.5
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
EXIT_OK, EXIT_SOME_FAILED, EXIT_UNUSABLE, EXIT_LEASE_LOST, EXIT_NO_ROOM = 0, 1, 2, 3, 4


class LeaseLostError(Exception):
    """The board was given to someone else while the job ran."""


@dataclass(frozen=True)
class LeaseToken:
    """The lease a job runs under: the board's lease file, and its generation at the start."""

    file: Path
    generation: int

    def check(self) -> None:
        """Raise LeaseLostError if the lease has another generation now, or is gone."""
        try:
            now = json.loads(self.file.read_text(encoding="utf-8"))["generation"]
        except (OSError, ValueError, KeyError, TypeError) as bad:
            raise LeaseLostError(f"{self.file}: cannot be read ({bad})") from None
        if now != self.generation:
            raise LeaseLostError(f"the lease is at generation {now}, not {self.generation}")


@dataclass(frozen=True)
class Item:
    """One recording of a job; `times_s` replaces the container's clock."""

    id: str
    path: str
    times_s: Optional[Tuple[float, ...]]


@dataclass(frozen=True)
class Job:
    """A parsed job."""

    recordings: Tuple[Item, ...]
    model_path: str
    model_name: str
    appearance_path: Optional[str]  # the second file of a model in two
    detector: str
    detector_files: Mapping[str, Path]
    settings: Settings
    runtime: str
    threads: int
    timings_unit: str
    out_dir: Path
    lease: Optional[LeaseToken] = None
    pace: str = FAST
    minutes: Optional[float] = None
    period_s: float = PERIOD_S  # what `minutes` are told by

    @property
    def player(self) -> Optional[Player]:
        """What plays the frames; None where the pipeline takes them as fast as it can, once."""
        if self.pace == FAST and self.minutes is None:
            return None
        return Player(parse_pace(self.pace))


def parse_job(content: Any) -> Job:
    """A job from its JSON object. Raises UserError naming the first thing that is wrong."""
    try:
        if content["schema"] != JOB_SCHEMA:
            raise UserError(f"a job of schema {content['schema']!r}; this is {JOB_SCHEMA}")
        items = []
        for entry in content["recordings"]:
            times = entry.get("times_s")
            clock = None if times is None else tuple(float(t) for t in times)
            items.append(Item(str(entry["id"]), str(entry["path"]), clock))
        ids = [item.id for item in items]
        if len(set(ids)) < len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise UserError(f"the job names the recording {twice!r} more than once")
        threads = int(content.get("threads", 1))
        if threads < 1:
            raise UserError(f"{threads} threads are none; give 1 or more")
        unit = _timings_unit(content)
        pace, minutes = _pace(content, unit)
        return Job(
            recordings=tuple(items),
            model_path=str(content["model"]["path"]),
            model_name=str(content["model"].get("name", content["model"]["path"])),
            appearance_path=_text_or_none(content["model"].get("appearance_path")),
            detector=str(content["detector"]["name"]),
            detector_files={k: Path(v) for k, v in content["detector"].get("files", {}).items()},
            settings=Settings.from_dict(content.get("settings", {})),
            runtime=str(content.get("runtime", "auto")),
            threads=threads,
            timings_unit=unit,
            out_dir=Path(content["out_dir"]),
            lease=None if content.get("lease") is None else _lease(content["lease"]),
            pace=pace,
            minutes=minutes,
            period_s=float(content.get("period_s", PERIOD_S)),
        )
    except KeyError as missing:
        raise UserError(f"the job has no {missing}") from None
    except (TypeError, ValueError, AttributeError) as bad:
        raise UserError(f"the job is malformed: {bad}") from None


def _lease(content: Mapping[str, Any]) -> LeaseToken:
    return LeaseToken(Path(content["file"]), int(content["generation"]))


def _timings_unit(content: Mapping[str, Any]) -> str:
    unit = content.get("timings_unit", NANOSECONDS)
    if unit not in (NANOSECONDS, INSTRUCTIONS):
        raise UserError(f"the job wants timings in {unit!r}, which is no unit of theirs")
    return str(unit)


def _pace(content: Mapping[str, Any], unit: str) -> Tuple[str, Optional[float]]:
    pace, minutes = str(content.get("pace", FAST)), content.get("minutes")
    if parse_pace(pace) is None and minutes is None:
        return pace, None
    if unit == INSTRUCTIONS:
        raise UserError("a clock that counts instructions keeps no time; replay once, and fast")
    return pace, None if minutes is None else check_minutes(float(minutes))


def _text_or_none(value: Any) -> Optional[str]:
    return None if value is None else str(value)


def run_job(job: Job) -> int:
    """Replay every recording of `job`; returns the exit status."""
    cv2.setNumThreads(job.threads)
    model = TSCAN(job.model_path, job.runtime, job.threads, job.appearance_path)
    model.require_pulse()
    detector = make_detector(job.detector, job.detector_files)
    facts = host_facts()
    failed = 0
    for item in job.recordings:
        context = _context(job, item, model, facts)
        record = _replay(job, item, model, detector, context)
        if job.lease:
            job.lease.check()
        path = job.out_dir / record_name(item.id)
        write_json(path, record)
        failed += record["status"] != OK
        _say({"event": "record", "id": item.id, "path": str(path), "status": record["status"]})
    return EXIT_SOME_FAILED if failed else EXIT_OK


def record_name(recording: str) -> str:
    """A file name for a recording's record that no id can turn into another path."""
    return hashlib.sha256(recording.encode("utf-8", "surrogatepass")).hexdigest()[:24] + ".json"


def _context(job: Job, item: Item, model: TSCAN, facts: Mapping[str, Any]) -> Dict[str, Any]:
    return {
        "schema": RECORD_SCHEMA,
        "recording": item.id,
        "model": {"name": job.model_name, "sha256": model.sha256, "card": model.card},
        "detector": job.detector,
        "settings": job.settings.to_dict(),
        "runtime": {
            "name": model.runtime.name,
            "version": model.runtime.version,
            "threads": job.threads,
        },
        "timings_unit": job.timings_unit,
        "pace": job.pace,
        "clock": "container" if item.times_s is None else "labels",
        "code_version": __version__,
        "host": dict(facts),
        "started_at": datetime.now(timezone.utc).isoformat(),
    }


def _replay(
    job: Job, item: Item, model: TSCAN, detector: Detector, context: Dict[str, Any]
) -> Dict[str, Any]:
    start = time.perf_counter()
    pipeline = Pipeline(detector, model, job.settings, _clock(job))
    account = Account()
    minutes = _minutes(job, item)
    try:
        with open_source(item.path, times_s=item.times_s, threads=job.threads) as source:
            moved = _Watched(item.id, source, job.lease)
            if job.player is None:
                result = pipeline.run(moved)
            else:
                result = _play(job.player, pipeline, moved, account, minutes)
            context["video"] = {
                "declared_frames": source.declared_frames,
                "moved_timestamps": moved.moved_timestamps,
            }
        if job.player is not None and minutes is not None:
            minutes.heart_rate(result.bpm)
            sustain(
                minutes,
                job.player,
                lambda: Pipeline(detector, model, job.settings, _clock(job)),
                lambda: _watched(job, item),
            )
        context.update(status=OK, result=result_to_dict(result))
        if job.timings_unit == INSTRUCTIONS:
            context["result"]["real_time_factor"] = None  # instructions keep up with nothing
    except UserError as bad:
        context.update(status=FAILED, error={"kind": type(bad).__name__, "message": str(bad)})
    if job.player is not None:
        player = job.player
        shown = {"speed": player.speed, "buffer_frames": player.buffer_frames}
        context["pacing"] = {**shown, **account.to_dict()}
    if minutes is not None:
        minutes.close()
        context["sustained"] = {"asked_minutes": job.minutes, "minutes": minutes.rows}
    context["surroundings"] = pipeline.surroundings()
    context["fingerprints"] = pipeline.fingerprints()
    context["memory"] = pipeline.memory()
    context["wall_s"] = time.perf_counter() - start
    context["peak_memory_bytes"] = peak_memory_bytes()
    return context


def _play(
    player: Player,
    pipeline: Pipeline,
    source: FrameSource,
    account: Account,
    minutes: Optional[Minutes],
) -> Result:
    """The recording once, to its end, with an account of its frames."""
    for one in player.play(pipeline, source):
        account.add(one)
        if minutes is not None:
            minutes.add(one)
    return pipeline.finish_of(source)


def _minutes(job: Job, item: Item) -> Optional[Minutes]:
    if job.minutes is None:
        return None
    return Minutes(lambda row: _say({**row, "id": item.id}), job.minutes, job.period_s)


def _watched(job: Job, item: Item) -> "_Watched":
    source = open_source(item.path, times_s=item.times_s, threads=job.threads)
    return _Watched(item.id, source, job.lease)


def _clock(job: Job) -> Callable[[], int]:
    """What times the stages: where time is instructions, only this process's own count."""
    return time.process_time_ns if job.timings_unit == INSTRUCTIONS else time.perf_counter_ns


class _Watched(FrameSource):
    """A source that reports how far it has been read."""

    def __init__(self, recording: str, source: FrameSource, lease: Optional[LeaseToken]) -> None:
        self._lease = lease
        self._recording = recording
        self._source = source

    def __str__(self) -> str:
        return str(self._source)

    def __iter__(self) -> Iterator[Frame]:
        said_s = time.monotonic()
        of = self._source.declared_frames
        for frame in self._source:
            yield frame
            if time.monotonic() - said_s > PROGRESS_EVERY_S:
                said_s = time.monotonic()
                if self._lease:
                    self._lease.check()
                done = frame.number + 1
                _say({"event": "progress", "id": self._recording, "frames": done, "of": of})
        self.moved_timestamps = self._source.moved_timestamps

    def close(self) -> None:
        self._source.close()

    def _read(self) -> Iterator[Tuple[float, Any]]:
        raise NotImplementedError


def _say(event: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the job file named on the command line."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 1:
        sys.stderr.write("usage: python -m rppg_core.replay job.json\n")
        return EXIT_UNUSABLE
    try:
        try:
            content = json.loads(Path(given[0]).read_text(encoding="utf-8"))
        except (OSError, ValueError) as bad:
            raise UserError(f"{given[0]}: cannot be read as a job ({bad})") from None
        return run_job(parse_job(content))
    except UserError as bad:
        sys.stderr.write(f"replay: {bad}\n")
    except LeaseLostError as bad:
        sys.stderr.write(f"replay: stopped: {bad}\n")
        return EXIT_LEASE_LOST
    except OSError as bad:
        full = bad.errno in NO_ROOM
        remedy = "; make room on the disk" if full else ""
        sys.stderr.write(f"replay: {bad.filename or 'a record'}: {bad.strerror}{remedy}\n")
        if full:
            return EXIT_NO_ROOM
    return EXIT_UNUSABLE


if __name__ == "__main__":
    sys.exit(main())
