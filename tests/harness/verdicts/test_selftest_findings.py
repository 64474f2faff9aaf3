"""Which margins a board's self-test forbids, and whose sessions tell how far they lie apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.verdicts.selftest_findings import Finding, SelfTest, effect_text, margin_of, too_tight
from harness.verdicts.thresholds import ChangeRule


def kept(recordings=12, **detectable):
    gates = {
        name.replace("__", "."): Finding(
            unit="%", margin=5, comparisons=1000, false_alarms=0, undecided=0, detectable=least
        )
        for name, least in detectable.items()
    }
    return SelfTest(
        board="coral01",
        processor="Cortex-A53",
        delegate="none",
        threads="1",
        dataset="ubfc",
        variant="int8",
        recordings=recordings,
        sessions=12,
        baseline=3,
        session_sd_percent=1.2,
        gates=gates,
    )


def test_a_margin_below_what_is_detectable_is_named_with_one_that_is_not():
    found = kept(slowdown_percent=7.23, slowdown_percent__decode=9.9, mae_increase_bpm=0.5)
    said = too_tight(found, ChangeRule())
    assert said == (
        "max_slowdown_percent 5 is less than can be told there (7.23 % by slowdown_percent): "
        "set 7.3 or more"
    )
    assert not too_tight(found, ChangeRule(max_slowdown_percent=7.3))


def test_of_too_few_recordings_no_margin_is_advised():
    said = too_tight(kept(recordings=3, slowdown_percent=155_000.0), ChangeRule())
    assert said == (
        "max_slowdown_percent 5 is less than can be told there (>1000 % by slowdown_percent): "
        "too few recordings to tell what to set (3 of at least 4)"
    )
    assert "set 7.3 or more" in too_tight(kept(recordings=4, slowdown_percent=7.23), ChangeRule())


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "bpm", "-"),
        (-0.0, "bpm", "-"),
        (0.1234, "bpm", "0.123 bpm"),
        (999.7, "%", "1000 %"),
        (155_000.0, "%", ">1000 %"),
    ],
)
def test_an_effect_is_a_figure_for_a_person(value, unit, text):
    assert effect_text(value, unit) == text


def test_of_several_stages_the_worst_is_named_and_a_stage_nothing_is_asked_of_is_not():
    found = kept(slowdown_percent__decode=12.0, slowdown_percent__detect=31.0)
    assert "31 % by slowdown_percent.detect): set 31 or more" in too_tight(found, ChangeRule())
    assert not too_tight(found, ChangeRule(max_stage_slowdown_percent=None))
    assert not too_tight(kept(slowdown_percent=None), ChangeRule())


@given(least=st.floats(0.01, 500), margin=st.floats(0.01, 500))
def test_what_is_advised_is_allowed_and_only_less_is_refused(least, margin):
    said = too_tight(kept(slowdown_percent=least), ChangeRule(max_slowdown_percent=margin))
    assert bool(said) == (least > margin)
    if said:
        advised = float(said.rpartition("set ")[2].removesuffix(" or more"))
        assert least <= advised <= least * 1.11
        allowed = ChangeRule(max_slowdown_percent=advised)
        assert not too_tight(kept(slowdown_percent=least), allowed)


def test_every_gate_of_a_change_has_a_margin_and_nothing_else_has():
    for gate in ("mae_increase_bpm.high", "slowdown_percent.decode", "instructions_added_percent"):
        assert margin_of(gate) in ChangeRule.model_fields
    with pytest.raises(ValueError, match="no gate of a change"):
        margin_of("max_mae_bpm")
