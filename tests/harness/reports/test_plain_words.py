"""Verdicts in plain words: what a person reads first has to be what the gates found."""

from hypothesis import given
from hypothesis import strategies as st

from harness.reports.gate_figures import figure_text
from harness.reports.gate_words import Kind, kind_of
from harness.reports.plain_words import (
    Judged,
    explained,
    headline,
    told,
)
from harness.verdicts.intervals import Interval
from harness.verdicts.outcome import GateResult, Outcome
from harness.verdicts.thresholds import Case

CASE = Case("local", "synthetic", "int8")


def gate(name, figure, limit, outcome=Outcome.PASS, message="said (rule for x)", **more):
    return GateResult(name, figure, limit, outcome, message, **more)


def judged(*gates, label="int8"):
    return [Judged(CASE, label, gates)]


def sentences(found):
    return [(one.kind, one.outcome, one.text) for one in told(found)]


def test_what_holds_and_what_does_not_are_told_apart():
    slow = gate("ms_per_frame.predict", 9.2, 4.0, Outcome.FAIL)
    right = gate("mae_bpm", 0.09, 0.5)
    assert headline(judged(right)) == "Accuracy holds."
    assert headline(judged(right, slow)) == "Accuracy holds. Speed does not hold."
    unsure = gate("derivative_correlation", 0.9, 0.99, Outcome.INCONCLUSIVE)
    said = headline(judged(right, slow, unsure))
    assert said == "Accuracy holds. Likeness to float32 is undecided. Speed does not hold."
    assert headline([]) == "No gate judged this run."


def test_a_failure_is_told_in_multiples_of_its_limit():
    slow = gate("ms_per_frame.predict", 9.2, 4.0, Outcome.FAIL)
    [(kind, outcome, text)] = sentences(judged(slow))
    assert (kind, outcome) == (Kind.SPEED, Outcome.FAIL)
    assert text == (
        "Speed does not hold: predict takes 9.2 ms a frame, 2.3 times its limit of 4 ms (int8)."
    )
    near = gate("mae_bpm.low", 0.7502, 0.75, Outcome.FAIL)
    assert explained(near).endswith(
        "in the low group are 0.7502 bpm off on average, just above its limit of 0.75 bpm"
    )
    quiet = gate("mean_snr_db", 2.2, 3.0, Outcome.FAIL)
    assert explained(quiet).endswith("is 2.2 dB, at least 3 dB asked for")
    compared = {"baseline": 0.1, "interval": Interval(0.6, 1.2)}
    worse = gate("mae_increase_bpm", 0.9, 0.5, Outcome.FAIL, **compared)
    said = "1.8 times its limit of 0.5 bpm (compared with 0.1 bpm, 99 % interval: 0.6 to 1.2 bpm)"
    assert explained(worse).endswith(said)


def test_a_pass_names_the_gate_that_is_closest_to_its_limit():
    far, close = gate("mae_bpm", 0.1, 0.5), gate("mae_bpm.high", 0.45, 0.5)
    [(_, _, text)] = sentences(judged(far, close))
    assert "2 gates pass" in text and "high group are 0.45 bpm off" in text


def test_the_worst_failures_are_named_and_the_others_counted():
    slow = [gate(f"ms_per_frame.s{n}", 5.0 + n, 4.0, Outcome.FAIL) for n in range(6)]
    [(_, _, text)] = sentences(judged(*slow))
    assert text.count("times its limit") == 3 and "; and 3 more." in text
    assert "s5 takes" in text and "s0 takes" not in text


def test_gates_of_a_later_version_are_told_by_their_message():
    new = gate("worst_mae", 0.1, 0.5, Outcome.INCONCLUSIVE, "low: too few (rule for a)")
    assert kind_of(new) is Kind.ACCURACY
    assert explained(new) == "low: too few"
    assert kind_of(gate("slowest_frame", 1, 2)) is Kind.SPEED
    assert kind_of(gate("spirit_level", 1, 2, message="all")) is Kind.OTHER


def test_what_several_cases_have_in_common_is_said_once():
    gone = gate("complete", 1.0, 0.0, Outcome.FAIL, "recordings missing: a")
    cases = [Judged(CASE, label, (gone,)) for label in ("float32", "int8", "dynamic")]
    assert told(cases)[0].reasons == (("all cases", "recordings missing: a"),)
    cases.append(Judged(CASE, "float16", (gate("mae_bpm", 0.1, 0.5),)))
    first, last = told(cases)
    assert first.reasons == (("float32, int8, dynamic", "recordings missing: a"),)
    assert (first.outcome, last.outcome) == (Outcome.FAIL, Outcome.PASS), "the gravest first"


def test_a_board_in_no_state_to_be_measured_says_why():
    slow = gate("slowdown_percent", 7.0, 5.0, Outcome.INVALID, "the board throttled (rule for a)")
    assert explained(slow) == "the board throttled"


def test_a_gate_without_a_figure_is_told_by_its_message():
    assert explained(gate("mae_bpm", None, 0.5, Outcome.FAIL, "nothing was measured")) == (
        "mean absolute error: nothing was measured"
    )


@given(
    st.floats(1e-6, 1e6),
    st.floats(-0.2, 0.2).filter(lambda share: abs(share) > 1e-5),
)
def test_a_figure_never_reads_as_if_it_were_on_the_other_side(limit, share):
    figure = limit * (1 + share)
    shown = float(figure_text(gate("mae_bpm", figure, limit)).replace(",", ""))
    assert (shown > limit) == (figure > limit)
    assert shown != limit


outcomes = st.sampled_from(Outcome)


@given(
    st.lists(st.tuples(st.sampled_from(["mae_bpm", "real_time_factor", "lost_locks"]), outcomes))
)
def test_every_kind_with_a_gate_has_one_sentence_with_its_gravest_outcome(found):
    gates = [gate(name, 1.0, 2.0, outcome) for name, outcome in found]
    told = {kind: outcome for kind, outcome, _ in sentences(judged(*gates))}
    assert set(told) == {kind_of(one) for one in gates}
    for kind, outcome in told.items():
        here = {one.outcome for one in gates if kind_of(one) is kind}
        assert outcome in here
        assert (outcome is Outcome.PASS) == (here == {Outcome.PASS})
        assert (outcome is Outcome.FAIL) == (Outcome.FAIL in here)
