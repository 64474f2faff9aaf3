"""Intervals over subjects: what they cover, what must not move them, and when there is none."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.verdicts.accuracy import Scored, figures, intervals
from harness.verdicts.intervals import MIN_SUBJECTS, FigureIntervals

NAMES = [one.name for one in fields(FigureIntervals) if one.name != "subjects"]


def people(rng, subjects: int, each: int = 3, scale: float = 5.0) -> list[Scored]:
    """Recordings that err alike within a subject."""
    found = []
    for person in range(subjects):
        own = rng.normal(0, scale)
        for clip in range(each):
            truth = rng.uniform(55, 130)
            error = own + rng.normal(0, 0.2 * scale)
            estimate = max(truth + error, 20.0)
            found.append(Scored(f"{person}/{clip}", f"p{person}", truth, estimate, own))
    return found


def low_high(found: FigureIntervals) -> np.ndarray:
    return np.array([[getattr(found, n).low, getattr(found, n).high] for n in NAMES])


@pytest.mark.parametrize("subjects", [0, 1, MIN_SUBJECTS - 1])
def test_too_few_subjects_have_no_interval_however_many_recordings(subjects):
    found = intervals(people(np.random.default_rng(0), subjects, each=50))
    assert found == FigureIntervals(subjects)


def test_from_eight_subjects_on_every_figure_has_one_around_it():
    scored = people(np.random.default_rng(1), MIN_SUBJECTS)
    found, of = intervals(scored), figures(scored)
    for name in NAMES:
        one = getattr(found, name)
        assert one.low < getattr(of, name) < one.high, name


def test_it_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    truth = np.mean([s.snr_db for s in people(rng, 20000, each=1)])
    held = sum(
        (one := intervals(people(rng, 20)).mean_snr_db).low <= truth <= one.high for _ in range(300)
    )
    # 285 are expected of 0.95; 265 and 299 are the binomial's 0.1 % points for 0.93 and 0.985.
    assert 265 <= held <= 299


def test_windows_of_one_subject_add_no_certainty():
    rng = np.random.default_rng(3)
    scored = people(rng, 12, each=2)
    many = [replace(one, recording=f"{one.recording}.{i}") for one in scored for i in range(30)]
    assert low_high(intervals(many)) == pytest.approx(low_high(intervals(scored)), abs=1e-6)
    # Were each window a subject of its own, the interval would be several times narrower.
    alone = [replace(one, subject=one.recording) for one in many]
    width = np.ptp(low_high(intervals(scored))[0]) / np.ptp(low_high(intervals(alone))[0])
    assert width > 3


@given(st.randoms(use_true_random=False), st.integers(MIN_SUBJECTS, 15))
def test_neither_order_nor_a_second_run_moves_it(random, subjects):
    scored = people(np.random.default_rng(subjects), subjects)
    before = low_high(intervals(scored))
    random.shuffle(scored)
    assert low_high(intervals(scored)) == pytest.approx(before, abs=1e-6)


@given(st.integers(0, 1000), st.floats(1.1, 3.0))
def test_doubled_errors_double_the_interval(seed, factor):
    scored = people(np.random.default_rng(seed), 10)
    larger = [
        replace(one, estimate_bpm=one.reference_bpm + abs(one.error_bpm) * factor) for one in scored
    ]
    same = [replace(one, estimate_bpm=one.reference_bpm + abs(one.error_bpm)) for one in scored]
    ours, theirs = (low_high(intervals(rows))[:3] for rows in (larger, same))
    assert ours == pytest.approx(theirs * factor, rel=1e-6)


def test_errors_that_are_all_equal_leave_a_point_and_no_correlation():
    scored = [Scored(f"{i}", f"{i}", 60.0, 62.0, 1.0) for i in range(10)]
    found = intervals(scored)
    assert (found.mae_bpm.low, found.mae_bpm.high) == pytest.approx((2, 2))
    assert found.pearson_r is None


@given(st.integers(0, 500))
def test_bounds_that_no_figure_can_leave(seed):
    rng = np.random.default_rng(seed)
    found = intervals(people(rng, int(rng.integers(8, 20)), scale=float(rng.uniform(0.01, 40))))
    for name in ("mae_bpm", "rmse_bpm", "mape_percent"):
        assert 0 <= getattr(found, name).low <= getattr(found, name).high
    assert -1 <= found.pearson_r.low <= found.pearson_r.high <= 1
