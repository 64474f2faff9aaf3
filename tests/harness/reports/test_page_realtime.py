"""Real time on the page: deadlines, minutes, and the course of a replay."""

import json
import re

import numpy as np
import pytest
from made_records import make_record, write_records

from harness.cli import main as rppg_bench
from harness.replays import load_cases
from harness.reports.page.charts_time import timeline_of

SECONDS = 12
PACING = {
    "frames": 360, "dropped": 2, "missed": 18, "backlog_max": 4, "backlog_mean": 0.5,
    "first_heart_rate_s": 10.2, "missed_frames": [30, 60], "heart_rate_delays_ms": [10.0, 30.0],
}  # fmt: skip


def minute(number, **other):
    usual = {
        "minute": number, "start_s": 60.0 * number - 60, "end_s": 60.0 * number,
        "ended_uptime_s": 60.0 * number, "real_time_factor": 0.1 * number, "bpm": [71.0, None],
        "frames": 1800, "dropped": 90, "missed": 171, "backlog_max": 3, "backlog_mean": 0.1,
        "heart_rates": 50, "delay_p50_ms": 20.0, "delay_p99_ms": 44.0,
    }  # fmt: skip
    return {**usual, **other}


def record(minutes=None, pacing=PACING, seconds=0.0, **health):
    found = {**make_record("s1", 70.0, seconds=SECONDS), "health": {"seconds": seconds, **health}}
    if pacing is not None:
        found["pacing"] = pacing
    if minutes is not None:
        found["sustained"] = {"asked_minutes": len(minutes), "minutes": minutes}
    return found


def page(folder, found):
    write_records(folder, found)
    assert rppg_bench(["page", str(folder)]) == 0
    return (folder / "report.html").read_text()


def table(text, name):
    found = re.search(rf'aria-label="{name}.*?</table>', text, re.S)[0]
    rows = re.findall(r"<tr>(.*?)</tr>", found, re.S)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def test_deadlines_are_of_the_frames_that_were_taken(tmp_path):
    head, row = table(page(tmp_path, record()), "Deadlines")
    cells = dict(zip(head, row, strict=True))
    assert cells["late"] == "18 (5.0 %)" and cells["dropped"] == "2 (0.6 %)"
    assert cells["delay p50, ms"] == "20" and cells["first heart rate, s"] == "10.2"


def test_without_a_delay_there_is_no_column_and_a_reason(tmp_path):
    short = {**PACING, "heart_rate_delays_ms": [], "first_heart_rate_s": None}
    text = page(tmp_path, record(pacing=short))
    head, _ = table(text, "Deadlines")
    assert not [name for name in head if "delay" in name]
    assert "No delay: no heart rate came before a recording" in text


def test_every_minute_has_a_row(tmp_path):
    points = [{"at_s": 30.0, "temperature_c": 61.0}, {"at_s": 90.0, "temperature_c": 72.0}]
    text = page(tmp_path, record([minute(1), minute(2), minute(3)], points=points))
    head, *rows = table(text, "Minutes of s1")
    first = dict(zip(head, rows[0], strict=True))
    assert len(rows) == 3
    assert first == {
        "minute": "1", "seconds": "60", "real-time factor": "0.100", "late, %": "10.00",
        "dropped, %": "5.00", "longest backlog": "3", "delay p99, ms": "44.0",
        "MAE, bpm": "1.00", "hottest, °C": "61",
    }  # fmt: skip
    assert rows[2][-1] == "–"
    assert "Real-time factor of s1, minute by minute. 0.100, 0.200, 0.300." in text
    assert 'aria-label="Deadlines"' not in text


def test_minutes_without_a_pace_have_no_column_for_it(tmp_path):
    fast = dict.fromkeys(("dropped", "missed", "backlog_max", "delay_p99_ms"))
    text = page(tmp_path, record([minute(1, **fast)], pacing=None))
    head, _ = table(text, "Minutes of s1")
    assert head == ["minute", "seconds", "real-time factor", "MAE, bpm"]
    assert "Late: not finished" not in text


def test_a_short_last_minute_and_throttling_are_said(tmp_path):
    rows = [minute(1), minute(2, end_s=65.0)]
    text = page(tmp_path, record(rows, throttled=["clock limited"], throttled_after_s=42.0))
    assert "The last minute was cut too short to be judged." in text
    assert "Throttled after 42 s: clock limited." in text


def test_minutes_of_a_recording_that_broke_off_are_shown(tmp_path):
    place = tmp_path / "local" / "made" / "int8"
    place.mkdir(parents=True)
    about = {
        "event": "begin", "asked_minutes": 5, "reference_bpm": 70.0, "recording": "lost",
        "board": "local", "dataset": "made", "variant": "int8", "synthetic": True,
    }  # fmt: skip
    events = [about, {"event": "minute", **minute(1)}]
    place.joinpath("lost.minutes.jsonl").write_text("\n".join(map(json.dumps, events)))
    text = page(tmp_path, record())
    assert "local / made / int8: lost" in text
    assert "Cut off: 1 of 5 minutes came back." in text


@pytest.mark.parametrize("pacing", [None, PACING])
@pytest.mark.parametrize("seconds", [0.0, 40.0])
def test_a_timeline_starts_at_its_first_frame(tmp_path, pacing, seconds):
    points = [{"at_s": n / 2, "temperature_c": 50.0 + n} for n in range(80)]
    write_records(tmp_path, record(pacing=pacing, seconds=seconds, points=points))
    [run] = load_cases(tmp_path)
    line = timeline_of(run.replays[0])
    whole_s = SECONDS if pacing else SECONDS * 30 * 5 / 1e3
    assert 0 <= line.at_s[0] < 0.1
    assert line.at_s[-1] == pytest.approx(whole_s, abs=0.1)
    assert line.temperature_c[:, 0].min() >= 0
    assert line.temperature_c[:, 0].max() <= whole_s
    first_s = max(0.0, seconds - whole_s)
    assert line.temperature_c[0, 1] == pytest.approx(50 + 2 * first_s, abs=2)


def test_a_timeline_of_minutes_is_of_the_first_pass(tmp_path):
    points = [{"at_s": float(n), "temperature_c": 50.0 + n} for n in range(120)]
    write_records(tmp_path, record([minute(1), minute(2)], seconds=120.0, points=points))
    [run] = load_cases(tmp_path)
    line = timeline_of(run.replays[0])
    assert line.at_s[0] < 0.1 and line.missed_s == (1.0, 2.0)
    assert np.array_equal(line.temperature_c[0], [0.0, 50.0])
    assert line.temperature_c[-1, 0] == pytest.approx(11.0)
