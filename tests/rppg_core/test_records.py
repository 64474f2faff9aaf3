import json

import numpy as np
import pytest

from rppg_core.errors import UserError
from rppg_core.faces import Box
from rppg_core.memory import peak_memory_bytes
from rppg_core.pipeline import STAGES, Estimate, Result
from rppg_core.postprocess import PulseWave
from rppg_core.records import (
    FAILED,
    OK,
    RECORD_SCHEMA,
    host_facts,
    parse_record,
    read_record,
    result_to_dict,
    write_json,
)

FRAMES = 90


@pytest.fixture
def result():
    rng = np.random.default_rng(1)
    time_s = np.cumsum(rng.uniform(0.01, 0.05, FRAMES))
    return Result(
        bpm=71.23456789,
        snr_db=4.2,
        wave=PulseWave(rng.normal(size=FRAMES), 29.1, float(time_s[0])),
        windows=[Estimate(0.0, 2.0, 70.0, 3.0, 0.0), Estimate(1.0, 3.0, None, None, 2.0)],
        time_s=time_s,
        derivative=rng.normal(size=FRAMES),
        lost=np.arange(FRAMES) > 80,
        timings_ns={s: rng.integers(0, 10**10, FRAMES, dtype=np.int64) for s in STAGES},
        boxes=[(0, Box(1.23456, 2, 3, 4)), (80, None)],
        searches=3,
        sightings=2,
    )


@pytest.fixture
def with_arrays(result):
    return {
        "schema": RECORD_SCHEMA,
        "recording": "subject1",
        "status": OK,
        "host": host_facts(),
        "result": result_to_dict(result),
    }


@pytest.fixture
def content(with_arrays):
    return json.loads(json.dumps(with_arrays, default=lambda row: row.tolist()))


def test_a_record_comes_back_as_it_was_to_the_bit(tmp_path, result, with_arrays, content):
    path = tmp_path / "deep" / "er" / "x.json"
    write_json(path, with_arrays)
    record = read_record(path)
    assert record.ok
    assert record.error is None
    assert (record.recording, record.bpm, record.snr_db) == ("subject1", 71.23456789, 4.2)
    assert record.duration_s == result.duration_s
    assert np.array_equal(record.times_s, result.time_s)
    for stage in STAGES:
        assert record.timings_ns[stage].dtype == np.int64
        assert np.array_equal(record.timings_ns[stage], result.timings_ns[stage])
    raw = record.raw["result"]
    assert np.array_equal(raw["pulse"]["samples"], result.wave.samples)
    assert np.array_equal(raw["derivative"], result.derivative)
    assert raw["lost_frames"] == list(range(81, FRAMES))
    assert raw["boxes"] == [{"frame": 0, "box": [1.23, 2, 3, 4]}, {"frame": 80, "box": None}]
    assert raw["windows"][1]["bpm"] is None
    assert record.raw == content


def test_what_json_does_not_have_is_written_as_nothing(tmp_path):
    with pytest.raises(TypeError, match="set is nothing that JSON has"):
        write_json(tmp_path / "x.json", {"value": {1, 2}})
    assert not list(tmp_path.iterdir())


def test_a_failed_record_says_why():
    record = parse_record(
        {
            "schema": RECORD_SCHEMA,
            "recording": "x",
            "status": FAILED,
            "error": {"kind": "VideoError", "message": "x.avi: no such video"},
        }
    )
    assert not record.ok
    assert record.error == "x.avi: no such video"
    assert record.bpm is record.snr_db is None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_record_is_refused(tmp_path, content, share):
    path = tmp_path / "x.json"
    write_json(path, content)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match="cannot be read as a record") as refused:
        read_record(path)
    assert "\n" not in str(refused.value)


def drop(*keys):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


def put(value, *keys):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        drop("schema"),
        put("rppg-record/99", "schema"),
        drop("recording"),
        drop("status"),
        put("maybe", "status"),
        put(FAILED, "status"),
        drop("result"),
        put(None, "result"),
        drop("result", "bpm"),
        put(None, "result", "bpm"),
        put("72", "result", "bpm"),
        put(float("nan"), "result", "bpm"),
        drop("result", "time_s"),
        put([0.0], "result", "time_s"),
        put([0.0, "x"], "result", "time_s"),
        drop("result", "timings_ns", "decode"),
        put([1, 2], "result", "timings_ns", "predict"),
        put("ms", "timings_unit"),
    ],
)
def test_a_record_that_lacks_something_is_refused(tmp_path, content, change):
    content = json.loads(json.dumps(content))
    change(content)
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"x\.json") as refused:
        read_record(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("other", [[], 7, None, "record", {}])
def test_what_is_no_record_is_refused(other):
    with pytest.raises(UserError, match="not a rppg-record/1"):
        parse_record(other)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"none\.json"):
        read_record(tmp_path / "none.json")


def test_what_json_cannot_hold_leaves_nothing(tmp_path):
    for bad in (float("nan"), float("inf"), object()):
        with pytest.raises((ValueError, TypeError)):
            write_json(tmp_path / "x.json", {"value": bad})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_record(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"value": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"value": float("nan")})
    assert json.loads(path.read_text()) == {"value": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_host_facts_are_facts():
    facts = host_facts()
    assert facts["cpu"]
    assert facts["cpus"] >= 1
    assert facts["numpy"] == np.__version__
    assert json.loads(json.dumps(facts)) == facts
    assert 1e6 < peak_memory_bytes() < 1e11
