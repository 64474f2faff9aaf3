"""Errors of heart rates: hand-worked figures, the groups' borders, and what must always hold."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.verdicts.accuracy import AccuracyFigures, HeartRateGroup, Scored, score

BPM = st.floats(30, 200)
SCORED = st.builds(Scored, st.text(max_size=5), st.just("s"), BPM, BPM, st.floats(-30, 30))
SOME = st.lists(SCORED, min_size=1, max_size=30)


def one(reference: float, estimate: float, recording: str = "a", snr_db: float = 0.0) -> Scored:
    return Scored(recording, "s", reference, estimate, snr_db)


def test_figures_worked_by_hand():
    figures = score([one(50, 53, snr_db=1), one(100, 96, snr_db=3), one(80, 80, snr_db=5)]).overall
    assert figures.n == 3
    assert figures.mae_bpm == pytest.approx(7 / 3)
    assert figures.rmse_bpm == pytest.approx((25 / 3) ** 0.5)
    assert figures.mape_percent == pytest.approx((6 + 4 + 0) / 3)
    # Deviations from the means 230/3 and 229/3, times 3.
    assert figures.pearson_r == pytest.approx(
        (-80 * -70 + 70 * 59 + 10 * 11) / ((6400 + 4900 + 100) * (4900 + 3481 + 121)) ** 0.5
    )
    assert figures.mean_snr_db == pytest.approx(3)


@pytest.mark.parametrize(
    ("bpm", "group"),
    [(76.999, "low"), (77.0, "middle"), (89.999, "middle"), (90.0, "high"), (30, "low")],
)
def test_a_rate_on_a_border_is_in_the_upper_group(bpm, group):
    assert one(bpm, 80).group.value == group
    figures = score([one(bpm, 80)]).groups
    assert {name.value: part.n for name, part in figures.items() if part.n} == {group: 1}


def test_the_group_is_that_of_the_reference_not_of_the_estimate():
    assert score([one(125.6, 60.2)]).groups[HeartRateGroup.HIGH].n == 1


def test_nothing_scored_has_no_figures():
    report = score([])
    for figures in (report.overall, *report.groups.values()):
        assert astuple(figures) == (0, None, None, None, None, None)
    assert set(report.groups) == set(HeartRateGroup)
    assert report.worst(3) == ()


def test_a_single_recording_has_errors_but_no_correlation():
    figures = score([one(80, 78)]).overall
    assert figures == AccuracyFigures(1, 2.0, 2.0, 2.5, None, 0.0)


@pytest.mark.parametrize("estimates", [(70, 70, 70), (70.1, 70.1, 70.1 + 1e-9)])
def test_no_correlation_without_variance(estimates):
    scored = [one(60 + 10 * i, bpm) for i, bpm in enumerate(estimates)]
    assert score(scored).overall.pearson_r is None
    swapped = [one(s.estimate_bpm, s.reference_bpm) for s in scored]
    assert score(swapped).overall.pearson_r is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["reference_bpm", "estimate_bpm", "snr_db"])
def test_figures_that_are_no_numbers_are_refused(name, bad):
    figures = {"reference_bpm": 70.0, "estimate_bpm": 70.0, "snr_db": 1.0} | {name: bad}
    with pytest.raises(ValueError, match=f"clip7: {name}"):
        Scored("clip7", "s", **figures)


@pytest.mark.parametrize("bpm", [0.0, -60.0])
def test_heart_rates_that_no_heart_has_are_refused(bpm):
    with pytest.raises(ValueError, match="reference_bpm"):
        one(bpm, 70)
    with pytest.raises(ValueError, match="estimate_bpm"):
        one(70, bpm)


def test_worst_is_by_absolute_error_then_by_name():
    scored = [one(70, 71, "d"), one(70, 60, "b"), one(70, 80, "a"), one(70, 70, "c")]
    report = score(scored)
    assert [s.recording for s in report.worst(3)] == ["a", "b", "d"]
    assert len(report.worst(9)) == 4
    assert report.worst(0) == report.worst(-1) == ()


@given(SOME, st.randoms())
def test_the_order_of_recordings_does_not_matter(scored, random):
    shuffled = list(scored)
    random.shuffle(shuffled)
    pairs = zip(astuple(score(scored).overall), astuple(score(shuffled).overall), strict=True)
    for ours, theirs in pairs:
        assert ours == pytest.approx(theirs, abs=1e-6) if ours is not None else theirs is None


@given(SOME)
def test_what_holds_for_any_figures(scored):
    report = score(scored)
    overall = report.overall
    assert 0 <= overall.mae_bpm <= overall.rmse_bpm * (1 + 1e-12)
    assert overall.rmse_bpm <= abs(report.worst(1)[0].error_bpm) * (1 + 1e-12)
    assert overall.pearson_r is None or -1 <= overall.pearson_r <= 1
    assert sum(part.n for part in report.groups.values()) == overall.n == len(scored)
    weighted = sum(part.n * (part.mae_bpm or 0) for part in report.groups.values())
    assert weighted / overall.n == pytest.approx(overall.mae_bpm)


@given(st.lists(BPM, min_size=3, max_size=20), st.floats(-25, 25))
def test_a_constant_error_is_the_mae_and_leaves_the_correlation(references, shift):
    figures = score([one(bpm, bpm + shift) for bpm in references]).overall
    assert figures.mae_bpm == pytest.approx(abs(shift), abs=1e-9)
    assert figures.rmse_bpm == pytest.approx(abs(shift), abs=1e-9)
    if np.ptp(references) > 1e-3:
        assert figures.pearson_r == pytest.approx(1)


@given(st.lists(BPM, min_size=1, max_size=20), st.floats(0.5, 2))
def test_a_wrong_frame_rate_is_a_constant_relative_error(references, scale):
    figures = score([one(bpm, bpm * scale) for bpm in references]).overall
    assert figures.mape_percent == pytest.approx(100 * abs(scale - 1), abs=1e-9)
    assert figures.mae_bpm == pytest.approx(abs(scale - 1) * np.mean(references), abs=1e-9)
