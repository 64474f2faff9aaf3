"""The report page as text: what it says of a run, and of one that lacks something."""

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise

import cv2
import numpy as np
import pytest
from made_records import make_record, without_new_fields, write_records

from harness.cli import main as rppg_bench
from harness.run_file import RunFile, write_run
from harness.verdicts.outcome import GateResult, Outcome
from harness.verdicts.thresholds import Case

EVIL = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}"
CASE = Case("local", "made", "float32")
VOID = {"meta", "link", "img", "input", "br"}


class Outline(HTMLParser):
    """Elements in order with their attributes; fails where they are not nested."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.ids = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page(folder, *more):
    assert rppg_bench(["page", str(folder), *more]) == 0
    return (folder / "report.html").read_text()


def gates(*found):
    return RunFile("2026-01-02T03:04:05+00:00", True, commit="c0ffee" * 6, gates={CASE: found})


@pytest.fixture
def folder(tmp_path):
    records = [make_record(f"s{n}", 60 + 9 * n, seed=n) for n in range(4)]
    return write_records(tmp_path, *records, make_record("s9", 80, fails=True))


def test_verdicts_stand_on_top_in_plain_words(folder):
    slow = GateResult("real_time_factor", 1.15, 0.5, Outcome.FAIL, "m")
    write_run(folder, gates(GateResult("mae_bpm", 0.1, 0.5, Outcome.PASS, "m"), slow))
    text = page(folder)
    assert "<h1>Accuracy holds. Speed does not hold.</h1>" in text
    assert "processing takes 1.15 times as long as the video, 2.3 times its limit of 0.5" in text
    assert text.index('id="verdicts"') < text.index('id="accuracy"') < text.index('id="time"')
    assert text.index('id="time"') < text.index('id="provenance"') < text.index('id="worst"')
    assert "commit c0ffeec0ff" in text and "02 January 2026, 03:04 UTC" in text
    assert "no heart rate: no face in any of the 60 frames searched" in text
    assert "Synthetic data" in text and "No person was measured" in text


def test_a_run_without_a_file_of_its_own_has_figures_and_no_verdict(folder):
    text = page(folder)
    assert "<h1>No verdicts were kept of this run.</h1>" in text
    assert "whether it is allowed was not kept" in text
    assert "MAE" in text and "chip pass" not in text


def test_a_run_that_was_cut_off_says_so(folder):
    write_run(folder, RunFile("2026-01-02T03:04:05+00:00", gates={CASE: ()}))
    assert "cut off before its end" in page(folder)


def test_names_from_data_sets_cannot_break_out(tmp_path):
    evil = make_record(
        EVIL, 70, dataset=EVIL, variant=EVIL, subject=EVIL[::-1], conditions={EVIL: EVIL, "a": "b"}
    )
    evil["detector"] = evil["model"]["name"] = EVIL
    other = make_record("plain", 80, dataset=EVIL, variant=EVIL)
    failed = make_record("failed", 80, dataset=EVIL, variant=EVIL, fails=True)
    failed["error"]["message"] = EVIL
    write_records(tmp_path, evil, other, failed)
    gate = GateResult(EVIL, 1.0, 2.0, Outcome.FAIL, EVIL, stage=EVIL)
    case = Case("local", EVIL, EVIL)
    write_run(
        tmp_path, RunFile("now", branch=EVIL, commit="1", command=(EVIL,), gates={case: (gate,)})
    )
    outline = Outline(page(tmp_path))
    scripts = [one for one in outline.found if one[0] == "script"]
    assert len(scripts) == 1
    assert not [one for one in outline.found if one[0] == "img"]
    assert not [name for _, attributes in outline.found for name in attributes if name[:2] == "on"]
    assert "{{ 7*7 }}" in (tmp_path / "report.html").read_text()


def test_every_chart_is_named_and_every_heading_in_order(folder):
    text = page(folder)
    outline = Outline(text)
    levels = [int(tag[1]) for tag, _ in outline.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    charts = [said for tag, said in outline.found if tag == "svg" and "role" in said]
    assert len(charts) > 10
    assert all(said["role"] == "img" and len(said["aria-label"]) > 15 for said in charts)
    assert len(outline.ids) == len(set(outline.ids))
    assert {"header", "nav", "main", "footer"} <= {tag for tag, _ in outline.found}
    for svg in re.findall(r"<svg viewBox=\"0 0 .*?</svg>", text):
        ET.fromstring(svg)
        assert "nan" not in svg and "inf" not in svg


def test_a_board_that_counts_has_no_milliseconds(tmp_path):
    record = make_record("s1", 70)
    write_records(tmp_path, {**record, "timings_unit": "instructions"})
    text = page(tmp_path)
    assert "Work, not time." in text and "M instructions a frame" in text
    assert not re.search(r"[0-9.]+ ms\b", text)


def test_missed_deadlines_are_shown_where_frames_came_at_their_pace(tmp_path):
    record = make_record("s1", 70)
    pacing = {
        "frames": 360, "dropped": 2, "missed": 18, "backlog_max": 4, "backlog_mean": 0.5,
        "first_heart_rate_s": 10.2,
        "missed_frames": list(range(18)), "heart_rate_delays_ms": [10.0, 20.0, 30.0],
    }  # fmt: skip
    write_records(tmp_path, {**record, "pacing": pacing})
    text = page(tmp_path)
    assert "18 (5.0 %)" in text and "2 (0.6 %)" in text and "18 late frames" in text
    assert text.count('class="late"') == 18


def test_at_full_speed_there_are_no_deadlines(folder):
    assert "Deadlines" not in page(folder)


def test_temperature_and_clock_are_drawn_where_the_board_tells_them(tmp_path):
    record = make_record("s1", 70)
    points = [{"at_s": n, "temperature_c": 50 + n, "slowest_mhz": 1500} for n in range(5)]
    health = {"seconds": 5, "points": points, "throttled": ["clock limited to 1000 MHz"]}
    write_records(tmp_path, {**record, "health": health})
    text = page(tmp_path)
    assert "Temperature of the board. 50 to 54 °C." in text
    assert "Slowest clock of the board" in text
    assert "Throttled: clock limited to 1000 MHz." in text


def test_old_records_and_a_run_without_any_heart_rate_have_a_page(tmp_path):
    old = without_new_fields(make_record("s1", 70))
    assert "s1" in page(write_records(tmp_path / "old", old))
    text = page(write_records(tmp_path / "none", make_record("s1", 70, fails=True)))
    assert "No recording gave a heart rate." in text


@pytest.mark.parametrize(
    ("synthetic", "more", "seen"),
    [(False, (), 0), (False, ("--thumbnails",), 1), (True, (), 0)],
)
def test_faces_of_real_people_are_left_out_unless_asked_for(tmp_path, synthetic, more, seen):
    videos = tmp_path / "set"
    videos.mkdir()
    clip = str(videos / "clip.mp4")
    writer = cv2.VideoWriter(clip, cv2.VideoWriter_fourcc(*"mp4v"), 30, (80, 60))
    for _ in range(5):
        writer.write(np.full((60, 80, 3), 200, np.uint8))
    writer.release()
    (videos / "labels.csv").write_text("file,bpm\nclip.mp4,71\n")
    sets = tmp_path / "sets.yaml"
    sets.write_text("mine: {kind: folder, root: set}\n")
    record = make_record("clip.mp4", 71, dataset="mine", synthetic=synthetic)
    text = page(write_records(tmp_path / "in", record), "--datasets", str(sets), *more)
    assert text.count("data:image/jpeg") == seen
    assert ("Faces of real people are left out" in text) == (not synthetic and not seen)
    assert ("Synthetic data" in text) == synthetic


def test_a_broken_run_file_is_one_line_that_says_what_to_do(folder, capsys):
    (folder / "run.json").write_text(json.dumps({"schema": "rppg-run/1"}))
    assert rppg_bench(["page", str(folder)]) == 2
    assert "remove it" in capsys.readouterr().err


def test_the_page_goes_where_it_is_told_to(folder, tmp_path, capsys):
    out = tmp_path / "new" / "page.html"
    assert rppg_bench(["page", str(folder), "-o", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out) and out.exists()
    (tmp_path / "file").touch()
    assert rppg_bench(["page", str(folder), "-o", str(tmp_path / "file" / "p.html")]) == 2
