"""Four outcomes: what a test that came to no verdict looks like to a person and to a CI."""

import xml.etree.ElementTree as ET
from itertools import product

import pytest

from harness.verdicts.intervals import Interval
from harness.verdicts.outcome import GRAVEST_FIRST, GateResult, Outcome, gravest

BENCHMARK = """
    import pytest
    from harness.verdicts.intervals import Interval
    from harness.verdicts.outcome import GateResult, Outcome

    @pytest.mark.parametrize("outcome", list(Outcome), ids=lambda one: one.value)
    def test_it(outcome, conclude):
        gate = GateResult(
            "mae_bpm", 1.5, 0.5, outcome, "said", baseline=1.0, interval=Interval(-0.25, 1.25)
        )
        conclude([gate], f"why it is {outcome.value}")
"""


def result(outcome):
    return GateResult("g", 1.0, 2.0, outcome, "m")


@pytest.mark.parametrize(("one", "other"), [*product(Outcome, Outcome)])
def test_the_graver_of_two_outcomes_stands_for_both(one, other):
    found = gravest([result(one), result(other)])
    assert found is min((one, other), key=GRAVEST_FIRST.index)


def test_only_a_pass_has_passed():
    assert [one for one in Outcome if result(one).passed] == [Outcome.PASS]
    assert gravest([]) is Outcome.PASS
    assert Outcome.of(True) is Outcome.PASS and Outcome.of(False) is Outcome.FAIL


@pytest.fixture
def run(pytester):
    pytester.makepyfile(BENCHMARK)
    return lambda *more: pytester.runpytest_subprocess("--junitxml=junit.xml", *more)


def test_no_verdict_is_neither_a_pass_nor_a_failure(run, pytester):
    done = run("-v")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.assert_outcomes(passed=1, failed=1)
    text = done.stdout.str()
    assert "1 inconclusive" in text and "1 invalid" in text and "skipped" not in text
    assert "test_it[inconclusive] INCONCLUSIVE" in text
    assert "why it is inconclusive" in text and "why it is invalid" in text
    assert "why it is pass" not in text

    cases = {one.get("name"): one for one in ET.parse(pytester.path / "junit.xml").iter("testcase")}
    said = {p.get("name"): p.get("value") for p in cases["test_it[fail]"].iter("property")}
    assert said["mae_bpm"] == "1.5" and said["mae_bpm.threshold"] == "0.5"
    assert said["mae_bpm.baseline"] == "1.0" and said["mae_bpm.interval"] == "-0.25 1.25"
    assert said["mae_bpm.verdict"] == said["verdict"] == "fail"
    assert "why it is fail" in cases["test_it[fail]"].find("failure").get("message")
    assert cases["test_it[pass]"].find("skipped") is None
    for name in ("inconclusive", "invalid"):
        assert f"why it is {name}" in cases[f"test_it[{name}]"].find("skipped").get("message")


def test_undecided_alone_ends_well_unless_it_is_asked_not_to(run):
    assert run("-k", "inconclusive or invalid").ret == pytest.ExitCode.OK
    strict = run("-k", "inconclusive or invalid", "--strict-verdicts")
    assert strict.ret == pytest.ExitCode.TESTS_FAILED
    strict.assert_outcomes(failed=2)


def test_a_plain_skip_stays_one(pytester):
    pytester.makepyfile("import pytest\ndef test_it():\n    pytest.skip('no board')")
    pytester.runpytest_subprocess().assert_outcomes(skipped=1)


def test_an_interval_is_kept():
    one = GateResult("g", 1.0, 2.0, Outcome.FAIL, "m", interval=Interval(0.0, 1.0))
    assert one.interval == Interval(0.0, 1.0) and one.baseline is None and one.stage is None
