"""What gates are worth on a board, from its own sessions: known noise gives known answers."""

import numpy as np
import pytest

from harness.verdicts.change_gates import gate_slowdown
from harness.verdicts.noninferiority import PairedError
from harness.verdicts.outcome import Outcome
from harness.verdicts.selftest import draws, most_alarms, session_sd, try_errors, try_times
from harness.verdicts.thresholds import ChangeRule

RULE = ChangeRule()
SESSIONS, RECORDINGS = 12, 12


def stages(apart, within, seed=1):
    """Two stages of sessions that lie `apart` in logarithms, single runs `within` them."""
    rng = np.random.default_rng(seed)
    whole = rng.normal(0, apart, SESSIONS)
    return {
        stage: {
            f"r{n}": (ms * np.exp(whole + rng.normal(0, within, SESSIONS))).tolist()
            for n in range(RECORDINGS)
        }
        for stage, ms in (("decode", 1.0), ("predict", 3.0))
    }


def of_all(tests):
    return next(one for one in tests if one.gate == "slowdown_percent")


def test_a_quiet_board_is_told_to_the_margin_and_a_restless_one_is_not():
    quiet = of_all(try_times(RULE, stages(0.002, 0.005), 3, 300))
    restless = of_all(try_times(RULE, stages(0.05, 0.02), 3, 300))
    assert quiet.false_alarms == 0 and quiet.undecided == 0
    assert 4 < quiet.least < 6, "hardly more than the margin of 5 % has to be there"
    assert restless.least > 10 and restless.undecided > 150
    assert quiet.detectable < 2.5 and restless.detectable > 10, "whatever the margin"
    assert restless.false_alarm_rate <= 0.01


def test_the_least_effect_is_what_the_gate_itself_catches_and_less_is_not():
    taken = stages(0.01, 0.01)
    least = of_all(try_times(RULE, taken, 3, 200)).least
    apart = session_sd(taken)

    def caught(percent):
        failed = 0
        for old, new in draws(SESSIONS, 3, 200):
            base, now = (
                {
                    stage: {name: [f * runs[s] for s in which] for name, runs in rows.items()}
                    for stage, rows in taken.items()
                }
                for which, f in ((old, 1.0), ([new], 1 + percent / 100))
            )
            gates = gate_slowdown(RULE, base, now, apart, session_freedom=SESSIONS - 1)
            failed += gates[0].outcome is Outcome.FAIL
        return failed / 200

    assert caught(least * 1.001) >= 0.95 > caught(least * 0.8)


def test_counts_are_told_to_their_margin():
    taken = stages(0.0001, 0.0001)
    found = of_all_counts(try_times(RULE, taken, 3, 200, counted=True))
    assert found.false_alarms == 0
    assert RULE.max_added_instructions_percent - 0.1 < found.least < 0.6
    assert found.detectable < 0.05


def of_all_counts(tests):
    return next(one for one in tests if one.gate == "instructions_added_percent")


def test_sessions_of_the_same_heart_rates_never_alarm_and_tell_the_margin():
    row = [PairedError(f"r{n}", f"s{n}", 80 + n, 80.1 + n, 80.1 + n) for n in range(RECORDINGS)]
    for one in try_errors(RULE, [row] * SESSIONS, 50):
        assert (one.false_alarms, one.undecided) == (0, 0)
        assert one.least == pytest.approx(one.margin)
        assert one.detectable == 0


def test_heart_rates_that_wander_are_seen():
    rng = np.random.default_rng(2)
    rows = [
        [
            PairedError(f"r{n}", f"s{n}", 80, 80, 90 + float(rng.normal(0, 2)))
            for n in range(RECORDINGS)
        ]
        for _ in range(SESSIONS)
    ]
    (every, *_) = try_errors(RULE, rows, 200)
    assert every.undecided > 100 and every.least > 2


def test_sessions_of_a_comparison_are_drawn_apart():
    for old, new in draws(5, 3, 100):
        assert len({*old, new}) == 4
    with pytest.raises(ValueError, match="too few"):
        next(draws(3, 2, 1))


def test_no_alarm_of_a_thousand_is_below_a_third_of_a_percent():
    assert most_alarms(0, 1000) == pytest.approx(0.003, abs=1e-4)
    assert most_alarms(10, 1000) > 0.01
