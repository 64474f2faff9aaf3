"""Runs on disk, made of records of recordings that never were."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))

from made_records import make_record

from harness.run_file import RunFile, write_run
from harness.verdicts.outcome import GateResult, Outcome
from harness.verdicts.thresholds import Case
from rppg_core.records import write_json
from rppg_core.replay import record_name

CLIPS = {"a": 62.0, "b": 84.0, "c": 100.0}


def put_record(run: Path, record: dict) -> Path:
    """Put a record where a campaign puts it."""
    campaign = record["campaign"]
    place = run / campaign["board"] / campaign["dataset"] / campaign["variant"]
    write_json(place / record_name(campaign["recording"]), record)
    return place / record_name(campaign["recording"])


@pytest.fixture
def make_run(tmp_path):
    """`make_run(name, variants, slower, ...)` writes a run and returns its folder."""

    def make(
        name="20260101T000000.000000Z",
        variants=("float32",),
        slower=1.0,
        clips=CLIPS,
        said=None,
        **about,
    ):
        about = {"commit": "c0ffee" + name[:8], "version": "0.1.0", "finished": True, **about}
        folder = tmp_path / "results" / name
        gate = GateResult("mae_bpm", 0.1, 0.5, Outcome.PASS, "good enough")
        cases = {Case("local", "made", variant): (gate,) for variant in variants}
        for variant in variants:
            for clip, bpm in clips.items():
                record = make_record(clip, bpm, variant=variant, noise=0.2)
                rows = record["result"]["timings_ns"]
                for stage, row in rows.items():
                    rows[stage] = [round(one * slower) for one in row]
                put_record(folder, {**record, "peak_memory_bytes": 100_000_000, **(said or {})})
        started = f"{name[:4]}-{name[4:6]}-{name[6:8]}T00:00:00+00:00"
        write_run(folder, RunFile(started, gates=cases, **about))
        return folder

    return make
