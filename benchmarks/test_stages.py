"""Does each stage do what it did, does it do it twice, and in how much memory?"""

from harness.replays import CaseRun
from harness.verdicts.explain import explain_stages
from harness.verdicts.thresholds import Case


def test_like_reference(case: Case, case_run: CaseRun, against_reference, conclude):
    what = "likeness to the reference run, stage by stage,"
    conclude(against_reference, explain_stages(case, what, against_reference))


def test_same_twice(case: Case, repeated, conclude):
    conclude(repeated, explain_stages(case, "likeness of one recording replayed twice", repeated))


def test_peak_memory(case: Case, peak_memory, conclude):
    conclude(peak_memory, explain_stages(case, "peak memory", peak_memory))
