"""The label check on the real label files, and on one spoilt in every way it knows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.datasets.checking import check_dataset
from harness.datasets.conventions import CONVENTIONS, references
from harness.datasets.defects import (
    HARMLESS,
    NOTE,
    REPAIRED,
    UNREPAIRED,
    Container,
    find_defects,
)
from harness.datasets.repair import repair_heart_rate
from harness.datasets.signals import Signals
from harness.datasets.ubfc2 import GroundTruth, Ubfc2Dataset, write_ground_truth

RATE_HZ = 30.0


def found_in(signals, container=None):
    row = None if signals.hr_bpm is None else repair_heart_rate(signals.hr_bpm)
    known = references(signals, CONVENTIONS, "it", row)
    return {one.code: one for one in find_defects(signals, row, known, container)}


def made(bpm=72.0, seconds=40.0, rate_hz=RATE_HZ, nominal_hz=30.0):
    """A minute or so without any defect, on one clock."""
    rng = np.random.default_rng(3)
    times_s = np.cumsum(rng.normal(1 / rate_hz, 0.003, round(seconds * rate_hz)))
    phase = 2 * np.pi * bpm / 60 * times_s
    ppg = np.sin(phase) + 0.4 * np.sin(2 * phase + 1) + 0.1 * np.sin(0.6 * times_s)
    row = np.round(bpm + 2 * np.sin(times_s / 7))
    return Signals(times_s, ppg, times_s, row, times_s, nominal_hz)


def on_one_clock(signals, times_s):
    return replace(signals, frame_times_s=times_s, ppg_times_s=times_s, hr_times_s=times_s)


def with_row(signals, at, values):
    row = signals.hr_bpm.copy()
    row[at] = values
    return replace(signals, hr_bpm=row)


def flat(signals, seconds):
    ppg = signals.ppg.copy()
    ppg[300 : 300 + round(seconds * RATE_HZ)] = ppg[300]
    return replace(signals, ppg=ppg)


def gap(signals, seconds):
    times_s = signals.frame_times_s.copy()
    times_s[500:] += seconds
    return on_one_clock(signals, times_s)


def repeats(signals, count):
    times_s = signals.frame_times_s.copy()
    at = np.arange(2, 2 + 3 * count, 3)
    times_s[at] = times_s[at - 1]
    return on_one_clock(signals, times_s)


@pytest.fixture
def real(models_folder, need):
    root = models_folder / "ubfc_rppg_dataset2_labels"
    return root if root.is_dir() else need(f"no UBFC label files in {models_folder}")


@pytest.mark.parametrize("bpm", [42.0, 72.0, 118.0, 165.0])
@pytest.mark.parametrize("rate_hz", [28.9, 29.97, 30.0])
def test_nothing_is_wrong_with_clean_labels(bpm, rate_hz):
    signals = made(bpm=bpm, rate_hz=rate_hz)
    assert found_in(signals, Container(len(signals.ppg), 30.0)) == {}


WRAPPED = made(bpm=127.0)
WRAPPED = replace(WRAPPED, hr_bpm=np.where(WRAPPED.hr_bpm > 127, 0, 128) + WRAPPED.hr_bpm - 128)
CASES = {
    "wrap": (WRAPPED, "hr-wrap", (HARMLESS, UNREPAIRED, REPAIRED)),
    "glitch": (with_row(made(), [100, 400, 900], [0, 43, 200]), "hr-glitch", None),
    "zeros": (with_row(made(), slice(100, 160), 0), "hr-range", None),
    "mostly zeros": (
        with_row(made(), slice(100, 1000), 0),
        "hr-range",
        (HARMLESS, UNREPAIRED, UNREPAIRED),
    ),
    "leap": (
        with_row(made(), slice(100, 160), 110),
        "hr-leap",
        (HARMLESS, UNREPAIRED, UNREPAIRED),
    ),
    "other person's row": (
        with_row(made(), slice(None), 110),
        "hr-ppg",
        (UNREPAIRED, UNREPAIRED, UNREPAIRED),
    ),
    "flat": (flat(made(), 2.5), "ppg-flat", (UNREPAIRED, HARMLESS, HARMLESS)),
    "clipped": (
        replace(made(), ppg=np.minimum(made().ppg, 0.9)),
        "ppg-clipped",
        (UNREPAIRED, HARMLESS, HARMLESS),
    ),
    "one repeat": (repeats(made(), 1), "time-repeats", (NOTE, NOTE, NOTE)),
    "many repeats": (repeats(made(), 200), "time-repeats", (UNREPAIRED,) * 3),
    "gap": (gap(made(), 0.9), "time-jumps", (NOTE, NOTE, NOTE)),
    "lost part": (gap(made(), 5.0), "time-jumps", (UNREPAIRED,) * 3),
    "23.3 fps": (made(rate_hz=23.3), "rate", (REPAIRED,) * 3),
    "25 fps": (made(rate_hz=25.0), "rate", (REPAIRED,) * 3),
    "milliseconds": (
        on_one_clock(made(), made().frame_times_s * 1000),
        "rate",
        (UNREPAIRED,) * 3,
    ),
    "back": (on_one_clock(made(), made().frame_times_s[::-1]), "time-back", (UNREPAIRED,) * 3),
    "short PPG": (
        replace(made(), ppg=made().ppg[:600], ppg_times_s=made().ppg_times_s[:600]),
        "length",
        (UNREPAIRED, HARMLESS, HARMLESS),
    ),
    "more times than PPG": (
        replace(made(), ppg=made().ppg[:-1]),
        "length",
        (UNREPAIRED, HARMLESS, HARMLESS),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_defect_is_found_and_what_it_means_to_each_convention(case):
    signals, code, states = CASES[case]
    found = found_in(signals)
    assert code in found
    states = states or (HARMLESS, UNREPAIRED, REPAIRED)
    assert tuple(found[code].state(convention) for convention in CONVENTIONS) == states
    assert len(found[code].text) < 45, "a line has room for no more"


@pytest.mark.parametrize(
    ("container", "code", "state"),
    [
        (Container(1200, 30.0), None, None),
        (Container(1200, 29.97), None, None),
        (Container(1200, 25.0), "rate-container", REPAIRED),
        (Container(1198, 30.0), "length", UNREPAIRED),
        (Container(None, None), None, None),
    ],
)
def test_the_containers_word_against_the_timestamps(container, code, state):
    found = found_in(made(), container)
    assert set(found) == ({code} if code else set())
    if code:
        assert found[code].state("ppg-fft") == state


def test_a_declared_rate_against_the_container_where_no_timestamps_say_which_is_right():
    signals = Signals(hr_bpm=np.array([72.0]), nominal_rate_hz=26.3)
    assert found_in(signals, Container(700, 26.0)) == {}
    assert found_in(signals, Container(700, 30.0))["rate-container"].state("hr-row") == UNREPAIRED


def test_the_real_files(real):
    checked = {one.recording: one for one in check_dataset(Ubfc2Dataset("ubfc", real))}
    assert len(checked) == 23
    serious = {
        (name, defect.code, defect.count)
        for name, one in checked.items()
        for defect in one.defects
        if defect.state("hr-row") != NOTE
    }
    assert serious == {
        ("subject11", "hr-wrap", 418),
        ("subject20", "hr-wrap", 1030),
        ("subject25", "rate", 1),
    }
    notes = {
        code: {name for name, one in checked.items() for d in one.defects if d.code == code}
        for code in ("time-repeats", "time-jumps")
    }
    assert notes["time-repeats"] == {f"subject{n}" for n in (1, 4, 5, 9, 10)}
    assert notes["time-jumps"] == {f"subject{n}" for n in (9, 15, 23, 25, 33)}
    assert checked["subject20"].references == pytest.approx(
        {"ppg-fft": 132.5, "hr-row": 60.2, "hr-row-repaired": 125.6}, abs=0.05
    )
    unrepaired = {c: {n for n, one in checked.items() if one.unrepaired(c)} for c in CONVENTIONS}
    assert unrepaired == {
        "ppg-fft": set(),
        "hr-row": {"subject11", "subject20"},
        "hr-row-repaired": set(),
    }


def test_copied_labels(tmp_path):
    for name, bpm in (("subject1", 60.0), ("subject3", 75.0), ("subject4", 60.0)):
        (tmp_path / name).mkdir()
        signals = made(bpm)
        truth = GroundTruth(signals.ppg, signals.hr_bpm, signals.frame_times_s)
        write_ground_truth(tmp_path / name / "ground_truth.txt", truth)
    one, other, copy = check_dataset(Ubfc2Dataset("ubfc", tmp_path))
    assert [d.text for d in one.defects] == ["same labels as subject4"]
    assert [d.code for d in copy.defects] == ["copied"]
    assert other.defects == ()


def arrays(low, high):
    values = st.floats(low, high, allow_subnormal=False)
    return st.lists(values, min_size=1, max_size=60).map(np.array)


@given(st.data())
def test_the_check_takes_whatever_a_reader_may_give(data):
    def maybe(strategy):
        return data.draw(st.none() | strategy)

    times_s = data.draw(arrays(0, 1e6))
    if data.draw(st.booleans()):
        times_s = np.sort(times_s)
    signals = Signals(
        frame_times_s=maybe(st.just(times_s)),
        ppg=maybe(arrays(-1e6, 1e6)),
        ppg_times_s=maybe(st.just(times_s)),
        hr_bpm=maybe(arrays(0, 1e4)),
        hr_times_s=maybe(st.just(times_s)),
        nominal_rate_hz=maybe(st.floats(1, 120)),
    )
    container = maybe(st.builds(Container, st.integers(1, 100), st.floats(1, 120)))
    for defect in found_in(signals, container).values():
        assert defect.state("ppg-fft") in (UNREPAIRED, REPAIRED, HARMLESS, NOTE)
