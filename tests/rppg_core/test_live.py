import os
import pty
import re
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from clips import write_cut
from hypothesis import given
from hypothesis import strategies as st

from rppg_core import live
from rppg_core.cli import main
from rppg_core.faces import Box
from rppg_core.live_view import Moment, estimate_line, picture, screen, sparkline
from rppg_core.pipeline import Estimate

FOUND = Estimate(0.0, 10.0, 61.4, 5.25, 0.0)
STYLE = re.compile(r"\x1b\[[0-9;]*m")
MODEL = ("--model", "tscan-synthetic", "--detector", "haar")


def moment(**changes):
    wave = np.sin(np.arange(180) / 30 * 2 * np.pi)
    box = Box(10.0, 20.0, 100.0, 120.0)
    usual = Moment("clip.mp4", 12.0, 60.0, FOUND, -2.0, wave, box, 30.0)
    return usual._replace(**changes)


def test_a_wave_goes_up_and_down_over_the_whole_width():
    top, *_, bottom = sparkline(np.array([0.0, 1.0, 0.0]), 9)
    assert len(top) == len(bottom) == 9
    assert top[4] == "█"
    assert top[0] == top[8] == " "
    assert bottom[0] == bottom[8] == "▁"
    assert set("".join(sparkline(np.arange(5.0), 9, unicode=False))) == {" ", "#"}


@pytest.mark.parametrize("wave", [np.empty(0), np.ones(1), np.zeros(50)])
def test_without_a_wave_the_lines_are_there_all_the_same(wave):
    assert sparkline(wave, 30) == [" " * 30] * 4


@given(
    st.integers(1, 200),
    st.text(max_size=60),
    st.booleans(),
    st.lists(st.floats(-1e6, 1e6), max_size=40),
    st.sampled_from([None, FOUND, FOUND._replace(bpm=None, snr_db=None)]),
)
def test_a_screen_has_as_many_lines_always_and_none_too_wide(width, title, unicode, wave, found):
    shown = moment(title=title, wave=np.array(wave), estimate=found, dropped=7)
    lines = screen(shown, width, unicode)
    assert len(lines) == 8
    assert not any(set(STYLE.sub("", line)) & set("\x1b\r\n\t") for line in lines)
    assert max(len(STYLE.sub("", line)) for line in lines) <= max(width, 24)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "61 bpm"),
        ({"estimate": None, "first_in_s": 4.2}, "measuring, 4 s to go"),
        ({"estimate": FOUND._replace(bpm=None, snr_db=None)}, "no pulse"),
        ({"box": None}, "no face"),
        ({"dropped": 3}, "3 dropped"),
        ({}, "0:12 of 1:00"),
        ({"of_s": None}, "0:12"),
        ({}, "good, SNR 5.2 dB"),
        ({"estimate": FOUND._replace(snr_db=-4.0)}, "poor"),
    ],
)
def test_a_screen_says_what_there_is(changes, says):
    assert says in "\n".join(screen(moment(**changes), 80, colour=False))


def test_a_line_for_a_log():
    assert estimate_line(FOUND) == "   10.0 s   61.4 bpm  SNR   5.2 dB  good"
    lost = FOUND._replace(bpm=None, snr_db=None, lost_s=6.0)
    assert estimate_line(lost).endswith("(the face was lost)")


def test_a_picture_shows_box_wave_and_rate():
    rgb = np.zeros((240, 320, 3), np.uint8)
    rgb[..., 0] = 50
    drawn = picture(rgb, moment())
    assert drawn.shape == rgb.shape
    assert (drawn[..., 2] >= 0).all() and drawn[120, 300].tolist() == [0, 0, 50], "BGR"
    green = (drawn[..., 1] > 150) & (drawn[..., 2] < 150)
    assert green[20:24, 40:80].any(), "the face's box"
    assert green[200:, 150:].any(), "the wave"
    assert (drawn[:40, :120] > 240).all(axis=-1).any(), "the heart rate"
    assert (rgb[..., 1] == 0).all(), "the pipeline's frame is left alone"


def test_a_window_that_opencv_cannot_draw_is_said_once(monkeypatch, capsys):
    def refuse():
        raise cv2.error("The function is not implemented")

    monkeypatch.setenv("DISPLAY", ":9")
    views = live._views(live.Options(), sys.stdout, refuse)
    assert [type(one).__name__ for one in views] == ["_Log"]
    assert capsys.readouterr().err == f"rppg: {live.NO_GUI}\n"
    assert len(live._views(live.Options(window=False), sys.stdout, refuse)) == 1
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert len(live._views(live.Options(), sys.stdout, refuse)) == 1
    assert capsys.readouterr().err == ""


# --- the command ----------------------------------------------------------------------------------


def test_into_a_pipe_goes_a_line_for_every_heart_rate(pulsing_clip, capsys):
    assert main(["live", str(pulsing_clip), "--fast", *MODEL]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == 2, "windows that end at 10 and 11 s; the last frames wait for more"
    for line in lines:
        assert float(line.split()[2]) == pytest.approx(72, abs=3)
    assert re.fullmatch(r"7[0-4]\.\d bpm over 12\.0 s \(SNR .* dB, good\)", last)


def test_seconds_are_of_the_video(pulsing_clip, capsys):
    assert main(["live", str(pulsing_clip), "--fast", "--seconds", "6", *MODEL]) == 0
    out = capsys.readouterr().out
    assert re.search(r"bpm over 6\.0 s", out)
    assert main(["live", str(pulsing_clip), "--fast", "--seconds", "1", *MODEL]) == 0
    assert "stopped after 1.0 s without a heart rate" in capsys.readouterr().out


def test_a_video_comes_as_it_was_recorded(short_clip, capsys):
    before = time.monotonic()
    assert main(["live", str(short_clip), *MODEL]) == 0
    assert time.monotonic() - before > 3.9


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.mp4"], "no such video"),
        (["--camera", "93"], "camera 93 cannot be opened"),
        (["x.mp4", "--camera", "0"], "a camera or a video"),
        (["{short}", "--seconds", "0", *MODEL], "0 seconds are none"),
        (["{cut}", *MODEL], "cut off"),
        (["{nobody}", "--fast", *MODEL], "no face in any"),
    ],
)
def test_what_cannot_be_shown_is_one_line(
    arguments, says, tmp_path, short_clip, faceless_clip, capfd
):
    cut = write_cut(tmp_path / "cut.mp4", short_clip, 0.5)
    named = {"{short}": short_clip, "{cut}": cut, "{nobody}": faceless_clip}
    assert main(["live", *(str(named.get(one, one)) for one in arguments)]) == 2
    out, err = capfd.readouterr()
    lines = [line for line in err.splitlines() if not line.startswith("INFO:")]
    assert len(lines) == 1 and lines[0].startswith("rppg: ") and says in lines[0]
    assert "bpm over" not in out


@pytest.mark.board
def test_on_a_terminal_it_draws_and_ctrl_c_ends_it_well(pulsing_clip):
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "rppg_core.cli", "live", str(pulsing_clip), *MODEL],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "70"},
    )
    os.close(theirs)
    with child:
        text = b""
        while b"0:05" not in text:
            text += os.read(ours, 4096)
        child.send_signal(signal.SIGINT)
        while True:
            try:
                text += os.read(ours, 4096)
            except OSError:  # the terminal's other end is closed
                break
        assert child.wait(10) == 0
        assert b"Traceback" not in child.stderr.read()
    os.close(ours)
    shown = text.decode()
    assert shown.count("pulsing.mp4") > 10
    assert "\x1b[8A" in shown, "the lines are drawn over those before"
    assert shown.count(live.HIDE_CURSOR) == shown.count(live.SHOW_CURSOR) == 1
    assert re.search(r"7[0-4]\.\d bpm over 5\.\d s", shown.splitlines()[-1])
