"""What a GitHub job shows: no name or message can end a command or become an element."""

import re

from hypothesis import given
from hypothesis import strategies as st
from made_records import make_record, write_records

from harness.replays import load_cases
from harness.reports.ci_summary import ANNOTATIONS, command, summary, workflow_commands
from harness.reports.page.content import judged_cases, shown_cases
from harness.reports.plain_words import Judged
from harness.run_file import RunFile
from harness.verdicts.outcome import GateResult, Outcome
from harness.verdicts.thresholds import Case

CASE = Case("local", "made", "int8")


def gate(outcome, name="mae_bpm", message="m"):
    return GateResult(name, 1.0, 0.5, outcome, message)


def unescaped(text):
    return re.sub("%([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), text)


@given(st.text(), st.text())
def test_a_command_is_one_line_from_which_both_texts_can_be_read(title, message):
    line = command("error", title, message)
    found = re.fullmatch(r"::error title=([^:,\r\n]*)::([^\r\n]*)", line)
    assert found
    assert unescaped(found[1]) == title and unescaped(found[2]) == message


def test_percent_signs_and_line_ends_are_escaped_as_github_asks():
    assert command("error", "a:b,c", "100 %\r\n::x") == "::error title=a%3Ab%2Cc::100 %25%0D%0A::x"


def test_each_outcome_has_its_level():
    lines = workflow_commands([Judged(CASE, "", tuple(gate(one) for one in Outcome))])
    assert [line.split(" ")[0] for line in lines] == [
        "::notice",
        "::error",
        "::warning",
        "::warning",
    ]
    assert "Accuracy does not hold." in lines[0]
    strict = workflow_commands([Judged(CASE, "", (gate(Outcome.INVALID),))], strict=True)
    assert strict[1].startswith("::error title=invalid%3A mae_bpm")


def test_no_more_annotations_than_a_step_shows():
    many = [gate(Outcome.FAIL, f"mae_bpm.{n}") for n in range(25)]
    lines = workflow_commands([Judged(CASE, "", tuple(many))])
    errors = [line for line in lines if line.startswith("::error")]
    assert len(errors) == ANNOTATIONS
    assert errors[-1].endswith("and 16 more gates")


def test_the_summary_has_verdicts_figures_and_says_what_is_synthetic(tmp_path):
    name = "<img src=x>|`y`"
    write_records(
        tmp_path,
        make_record("a", 70, dataset=name),
        make_record("b", 90, dataset=name, fails=True),
    )
    runs = load_cases(tmp_path)
    case = runs[0].case
    kept = RunFile(
        "2026-01-01", gates={case: (gate(Outcome.FAIL), gate(Outcome.PASS, "mean_snr_db"))}
    )
    text = summary(shown_cases(runs, kept), judged_cases(kept), kept, "results/1/report.html")
    assert text.startswith("## ❌ Accuracy does not hold.\n")
    assert "cut off before its end" in text
    assert "**Synthetic data**" in text and "no person was measured" in text
    assert "`results/1/report.html`" in text and "1 gate passed." in text
    assert "<img" not in text
    [head, rule, row] = [line for line in text.splitlines() if line.startswith("|")]
    assert head.count("|") == rule.count("|") == len(re.findall(r"(?<!\\)\|", row))
    assert re.search(r"fail, MAE \d+\.\d\d bpm \| 2 \| 1 \|$", row)


def test_without_verdicts_the_figures_are_still_told(tmp_path):
    write_records(tmp_path, make_record("a", 70))
    runs = load_cases(tmp_path)
    text = summary(shown_cases(runs, None), [], None, None)
    assert "No verdicts were kept" in text and "RTF" in text
    assert "Report page" not in text
