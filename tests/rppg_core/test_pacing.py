import json
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from clips import pulsing, steady_times, write_video
from hypothesis import given
from hypothesis import strategies as st

import rppg_core
from rppg_core.errors import UserError
from rppg_core.pacing import Account, Player, parse_pace
from rppg_core.pipeline import Estimate
from rppg_core.records import read_record
from rppg_core.replay import JOB_SCHEMA, main, record_name
from rppg_core.video import FrameSource

MS = 1_000_000
STILL = np.zeros((1, 1, 3), np.uint8)


class Clock:
    """A clock that work and sleep move on."""

    def __init__(self):
        self.ns = 7_000

    def __call__(self):
        return self.ns

    def sleep(self, seconds):
        self.ns += round(seconds * 1e9)


class Source(FrameSource):
    """Frames at given ms that take given ms to decode."""

    def __init__(self, clock, times_ms, decode_ms):
        self.clock, self.frames = clock, list(zip(times_ms, decode_ms, strict=True))

    def _read(self):
        for time_ms, decode_ms in self.frames:
            self.clock.ns += decode_ms * MS
            yield time_ms / 1e3, STILL


class Pipe:
    """Takes given ms for each frame that it gets, by number."""

    def __init__(self, clock, push_ms, rates=()):
        self.clock, self.push_ms, self.rates = clock, push_ms, rates
        self.decode_ms = {}

    def push(self, frame, decode_ns):
        self.clock.ns += self.push_ms[frame.number] * MS
        self.decode_ms[frame.number] = decode_ns / MS
        if frame.number in self.rates:
            return Estimate(0.0, 1.0, self.rates[frame.number], 3.0, 0.0)
        return None


def played(times_ms, decode_ms, push_ms, speed=1.0, buffer_frames=4, rates=()):
    clock = Clock()
    pipe = Pipe(clock, push_ms, rates)
    player = Player(speed, buffer_frames, clock, clock.sleep)
    return list(player.play(pipe, Source(clock, times_ms, decode_ms))), pipe


def simulated(times_ms, decode_ms, push_ms, room):
    """The same with a camera and a consumer that act ms by ms: (dropped, waiting, finished)."""
    buffer, dropped, waiting, finished = deque(), set(), {}, {}
    at, free_ms, tick = 0, 0, 0

    def consume():
        nonlocal at, free_ms
        while tick >= free_ms and at < len(times_ms):
            if at in dropped:
                free_ms = tick + decode_ms[at]
            elif buffer and buffer[0] == at:
                buffer.popleft()
                free_ms = finished[at] = tick + decode_ms[at] + push_ms[at]
            else:
                return
            at += 1

    while len(finished) + len(dropped) < len(times_ms) or at < len(times_ms):
        consume()
        for i, time_ms in enumerate(times_ms):
            if time_ms == tick:
                waiting[i] = len(buffer)
                if len(buffer) >= room:
                    dropped.add(i)
                else:
                    buffer.append(i)
                consume()
        tick += 1
    return dropped, waiting, finished


works = st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(1, 25)), min_size=2, max_size=30
)


@given(works, st.integers(1, 5))
def test_frames_are_dropped_and_finished_as_with_a_camera_beside(work, room):
    steps, decode_ms, push_ms = (list(one) for one in zip(*work, strict=True))
    times_ms = [sum(steps[:i]) for i in range(len(steps))]
    found, _ = played(times_ms, decode_ms, push_ms, buffer_frames=room)
    dropped, waiting, finished = simulated(times_ms, decode_ms, push_ms, room)
    start_ns = found[0].arrived_ns
    assert {one.number for one in found if one.dropped} == dropped
    assert {one.number: one.waiting for one in found} == waiting
    ends = {o.number: round((o.finished_ns - start_ns) / MS) for o in found if not o.dropped}
    assert ends == finished
    due = dict(enumerate(times_ms[1:]))
    late = {i for i, end in finished.items() if i in due and end > due[i]}
    assert {one.number for one in found[:-1] if one.missed} == late


def test_decoding_is_charged_once_and_a_dropped_frames_to_the_next():
    # The second frame takes the time of four, so of the five that come meanwhile one is dropped.
    push_ms = [10, 170, *[10] * 6]
    found, pipe = played(range(0, 240, 30), [5] * 8, push_ms, buffer_frames=4)
    assert [one.number for one in found if one.dropped] == [6]
    assert pipe.decode_ms == {0: 5, 1: 5, 2: 5, 3: 5, 4: 5, 5: 5, 7: 10}
    assert [one.busy_ns // MS for one in found] == [15, 175, 15, 15, 15, 15, 5, 15]
    assert found[1].delay_ns == 175 * MS, "decoded ahead, handed on 5 ms after it came"
    account = Account()
    for one in found:
        account.add(one)
    assert account.real_time_factor == pytest.approx((15 * 6 + 175) / (30 * 7), rel=1e-6)


def test_what_is_told_of_frames_and_heart_rates():
    rates = {2: None, 3: 60.0, 5: 61.0}
    found, _ = played([0, 100, 200, 300, 400, 500], [10] * 6, [20, 20, 20, 90, 20, 40], rates=rates)
    account = Account()
    for one in found:
        account.add(one)
    told = account.to_dict()
    assert told["frames"] == 6
    assert told["dropped"] == 0
    assert told["missed_frames"] == []
    assert told["heart_rates"] == 3
    assert told["heart_rate_delays_ms"] == [30, 100, 50]
    assert told["delay_p50_ms"] == 50
    assert told["first_heart_rate_s"] == pytest.approx(0.4), "the first window had no heart rate"
    json.dumps(told, allow_nan=False)


def test_without_waiting_nothing_is_late():
    found, _ = played([0, 10, 20], [5] * 3, [100] * 3, speed=None)
    assert not any(one.dropped or one.missed for one in found)
    account = Account()
    for one in found:
        account.add(one)
    told = account.to_dict()
    assert told["frames"] == 3
    empty = ("dropped", "missed", "backlog_max", "backlog_mean", "delay_p99_ms")
    assert {told[name] for name in (*empty, "first_heart_rate_s")} == {None}
    assert account.real_time_factor == pytest.approx(10.5)


@pytest.mark.parametrize(
    ("text", "speed"), [("fast", None), ("realtime", 1.0), ("10x", 10.0), ("0.5x", 0.5)]
)
def test_a_pace(text, speed):
    assert parse_pace(text) == speed


@pytest.mark.parametrize(
    "text", ["", "x", "slow", "0x", "-1x", "nanx", "infx", "1e9x", "2", "2 x?"]
)
def test_a_pace_that_is_none_is_one_line(text):
    with pytest.raises(UserError, match="unknown pace"):
        parse_pace(text)


# --- the replay program at a pace -----------------------------------------------------------------


@pytest.fixture(scope="session")
def slow_clip(clip_folder, face_image):
    """4 s of a face at 12 frames a second: time enough for each on any machine."""
    frames = pulsing(face_image, steady_times(4, 12.0))
    return write_video(clip_folder / "slow.mp4", frames, fps=12.0)


def job_file(tmp_path, model_file, clip, **more):
    job = {
        "schema": JOB_SCHEMA,
        "recordings": [{"id": "one", "path": str(clip)}],
        "model": {"path": str(model_file)},
        "detector": {"name": "haar"},
        "out_dir": str(tmp_path / "out"),
        **more,
    }
    path = tmp_path / "job.json"
    path.write_text(json.dumps(job))
    return str(path)


def the_record(tmp_path):
    return read_record(tmp_path / "out" / record_name("one"))


def test_a_board_that_is_fast_enough_drops_nothing(tmp_path, model_file, slow_clip, capsys):
    assert main([job_file(tmp_path, model_file, slow_clip)]) == 0
    fast = the_record(tmp_path)
    assert "pacing" not in fast.raw
    assert main([job_file(tmp_path, model_file, slow_clip, pace="realtime")]) == 0
    record = the_record(tmp_path)
    pacing = record.raw["pacing"]
    assert pacing["frames"] == 48
    assert pacing["dropped"] == 0
    assert pacing["missed"] <= 2, "the first search of a face takes longest"
    assert 3.9 < record.raw["wall_s"] < 6.0, "as long as it was recorded"
    assert record.raw["result"]["real_time_factor"] < 0.9, "waiting is not work"
    assert record.bpm == fast.bpm
    assert record.raw["pace"] == "realtime"


def test_a_board_that_is_too_slow_drops_and_misses(tmp_path, model_file, slow_clip, capsys):
    main([job_file(tmp_path, model_file, slow_clip, pace="100x")])
    pacing = the_record(tmp_path).raw["pacing"]
    assert pacing["dropped"] > 24
    assert pacing["dropped"] + pacing["missed"] >= 40
    assert pacing["backlog_max"] == pacing["buffer_frames"] == 4
    assert len(pacing["frame_delays_ms"]) == 48 - pacing["dropped"]


@pytest.mark.board
def test_a_slow_stage_in_a_broken_copy_is_seen(tmp_path, model_file, slow_clip):
    """The same at the same pace but for a prediction of a second, which is ten frames'."""
    copy = tmp_path / "copy" / "rppg_core"
    ignore = shutil.ignore_patterns("lightening", "__pycache__")
    shutil.copytree(Path(rppg_core.__file__).parent, copy, ignore=ignore)
    tscan, mark = copy / "tscan.py", "        return self._network.predict("
    source = tscan.read_text()
    assert source.count(mark) == 1
    tscan.write_text(source.replace(mark, "        __import__('time').sleep(1.0)\n" + mark))
    command = [sys.executable, "-m", "rppg_core.replay"]
    job = job_file(tmp_path, model_file, slow_clip, pace="realtime")
    done = subprocess.run([*command, job], cwd=copy.parent, check=False, capture_output=True)
    assert done.returncode in (0, 1), done.stderr
    pacing = the_record(tmp_path).raw["pacing"]
    assert pacing["dropped"] >= 12, "two predictions under way, with room for 4 of 12 frames each"
    assert pacing["missed"] >= 4


def test_a_clock_that_counts_instructions_keeps_no_pace(tmp_path, model_file, slow_clip, capsys):
    for more in ({"pace": "realtime"}, {"minutes": 1.0}):
        options = {"timings_unit": "instructions", **more}
        assert main([job_file(tmp_path, model_file, slow_clip, **options)]) == 2
        assert "counts instructions keeps no time" in capsys.readouterr().err


def test_minutes_are_told_on_the_spot_and_kept(tmp_path, model_file, slow_clip, capsys):
    options = {"minutes": 0.05, "period_s": 1.0}
    assert main([job_file(tmp_path, model_file, slow_clip, **options)]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [one for one in said if one["event"] == "minute"]
    record = the_record(tmp_path)
    rows = record.raw["sustained"]["minutes"]
    assert [{k: v for k, v in one.items() if k not in ("event", "id")} for one in told] == rows
    assert [one["minute"] for one in rows] == [1, 2, 3]
    assert rows[-1]["end_s"] == pytest.approx(3.0, abs=0.5)
    assert all(row["real_time_factor"] > 0 and row["dropped"] is None for row in rows)
    rates = [bpm for row in rows for bpm in row["bpm"]]
    assert len(rates) > 1, "a pass of a 4 s recording takes less than a second or two"
    assert set(rates) == {record.bpm}


def test_the_first_pass_is_whole_however_short_the_time(tmp_path, model_file, slow_clip, capsys):
    options = {"minutes": 0.01, "pace": "4x"}
    assert main([job_file(tmp_path, model_file, slow_clip, **options)]) == 0
    record = the_record(tmp_path)
    assert record.ok
    (row,) = record.raw["sustained"]["minutes"]
    assert row["frames"] == 48
    assert row["dropped"] is not None


@pytest.mark.parametrize("minutes", [0, -1, "many", 1e9])
def test_minutes_that_are_none_are_one_line(tmp_path, model_file, slow_clip, capsys, minutes):
    assert main([job_file(tmp_path, model_file, slow_clip, minutes=minutes)]) == 2
    assert "replay: " in capsys.readouterr().err
