"""Every gate that the verdicts can have, made by the function that makes it."""

import numpy as np

from harness.verdicts.accuracy import Scored, score
from harness.verdicts.against_baseline import Asked, compare_errors, compare_times, no_baseline
from harness.verdicts.baseline import HeartRate, Times, error_part, time_part
from harness.verdicts.change_gates import gate_error_change, gate_slowdown
from harness.verdicts.counts import count
from harness.verdicts.fidelity import FidelityReport, Making, Pair
from harness.verdicts.gates import (
    gate_accuracy,
    gate_counts,
    gate_ended,
    gate_latency,
    gate_quantization,
    gate_realtime,
    gate_replayed,
    gate_spoilt,
    gate_sustained,
)
from harness.verdicts.hops import FIGURES, Difference
from harness.verdicts.latency import INSTRUCTIONS, STAGES, RunTimes, StageTimes, measure
from harness.verdicts.noninferiority import PairedError
from harness.verdicts.provenance import Compared, Provenance
from harness.verdicts.realtime import Minute, RealTimeReport, SustainedRun
from harness.verdicts.stage_gates import Memory, gate_memory, gate_reference, gate_repeat
from harness.verdicts.thresholds import Case, ChangeRule, parse_thresholds

CASE = Case("local", "synthetic", "int8")
RULES = {
    "accuracy": {
        "max_mae_bpm": 1,
        "max_group_mae_bpm": {"low": 1, "middle": 1, "high": 1},
        "min_mean_snr_db": 3,
    },
    "latency": {
        "max_real_time_factor": 0.5,
        "max_stage_ms_per_frame": dict.fromkeys(STAGES, 1.0),
        "max_missed_percent": 1,
        "max_dropped_percent": 1,
        "max_delay_p99_ms": 9,
    },
    "quantization": {
        "max_paired_bpm": 0.1,
        "max_lost_locks": 0,
        "max_mae_change_bpm": 0.1,
        "min_correlation": 0.99,
        "min_snr_db": 18,
        "max_bytes": 600,
        "max_shared_scales": 0,
        "min_calibration_recordings": 3,
    },
    "memory": {"max_peak_memory_bytes": 300, "max_peak_memory_ratio": 1.2},
}
"""Each asks for all that its kind can ask for."""
COUNTED = {
    "baseline_minstr_per_frame": {**dict.fromkeys(STAGES, 1.0), "all": 5.0},
    "max_slowdown_percent": 0.5,
    "measured_with": {"detector": "haar"},
}
"""The same of a board that counts instructions."""
FAILURES = {"s9": "no face"}
WITH = Provenance(
    **dict.fromkeys(
        [
            name
            for name, field in Provenance.model_fields.items()
            if field.is_required() and name != "settings"
        ],
        "made",
    )
)


def thresholds(**other):
    rules = {**RULES, **other}
    return parse_thresholds({name: [rule] if rule else [] for name, rule in rules.items()})


def times(unit="ns"):
    rows = tuple(StageTimes(stage, np.full(10, 2_000_000, np.int64)) for stage in STAGES)
    return [RunTimes("clip0", 1.0, rows, unit)]


def accuracy():
    rows = [Scored(f"s{bpm}", "s", bpm, bpm + 2.0, 2.0) for bpm in (60.0, 80.0, 100.0)]
    found = gate_accuracy(thresholds(), CASE, score(rows), FAILURES)
    return (*found, *gate_accuracy(thresholds(accuracy=None), CASE, score(rows)))


def latency():
    return gate_latency(thresholds(), CASE, measure(times()))


def counts():
    report = count(times(INSTRUCTIONS))
    rules = thresholds(latency=COUNTED)
    found = gate_counts(rules, CASE, report, measured_with={"detector": "haar"})
    return (*found, *gate_counts(rules, CASE, report, measured_with={"detector": "yunet"}))


def realtime():
    report = RealTimeReport(1, 100, 2.0, 3.0, 1.0, 2, 5, 8.0, 20.0, 10.0)
    return gate_realtime(thresholds(), CASE, report)


def sustained():
    minute = Minute(1, 60.0, 1800, 0.7, dropped=90, missed=90, delay_p99_ms=12.0)
    return gate_sustained(thresholds(), CASE, [SustainedRun("s1", 1, (minute,))])


def quantization():
    beat = np.sin(np.arange(300) / 3)
    pairs = tuple(
        Pair(f"s{bpm}", bpm, bpm + 0.1, bpm + 9.0, beat, beat + 0.3 * np.cos(np.arange(300)))
        for bpm in (60.0, 80.0, 100.0)
    )
    report = FidelityReport(pairs, 700, 1400, Making(2, 1))
    return gate_quantization(thresholds(), CASE, report)


def error_change():
    pairs = [
        PairedError(f"s{n}", f"s{n}", 55.0 + 4 * n, 55.1 + 4 * n, 58.0 + 4 * n) for n in range(12)
    ]
    return gate_error_change(ChangeRule(), pairs)


def slowdown():
    old = {stage: {f"s{n}": [1.0 + 0.01 * n] for n in range(6)} for stage in STAGES}
    new = {stage: {f"s{n}": [1.4 + 0.01 * n] for n in range(6)} for stage in STAGES}
    found = gate_slowdown(ChangeRule(), old, new)
    return (*found, *gate_slowdown(ChangeRule(), old, new, counted=True))


def differences():
    return [
        Difference(stage, name, what, unit, 0.5, 0.9 if least else 0.1, least, "s1")
        for name, (stage, what, unit, least) in FIGURES.items()
    ]


def memory():
    rows = [Memory("s1", 400, {"predict": 100})], [Memory("s1", 200, {"predict": 10})]
    return gate_memory(thresholds(), CASE, *rows)


def baseline():
    heart = {"subject": "s", "video": "0" * 12, "reference_bpm": 60.0, "estimate_bpm": 61.0}
    old = error_part(WITH, {"s1": HeartRate(**heart), "s2": HeartRate(**heart)})
    new = error_part(WITH, {"s1": HeartRate(**{**heart, "reference_bpm": 70.0})})
    timed = [
        time_part(WITH, "ms", {"s1": Times(video="0" * 12, stages={stage: [1.0]})})
        for stage in ("decode", "predict")
    ]
    rule, asked = ChangeRule(), Asked()
    return (
        no_baseline(Compared.ERROR, "baselines"),
        *compare_errors(rule, old, new, asked).gates,
        *compare_times(rule, *timed, asked).gates,
    )


GATES = {
    "gate_replayed": lambda: gate_replayed({"s1": "no face"}),
    "gate_spoilt": lambda: gate_spoilt({"s1": "throttled"}, 3),
    "gate_ended": lambda: [gate_ended("coral01: unreachable")],
    "gate_accuracy": accuracy,
    "gate_latency": latency,
    "gate_counts": counts,
    "gate_realtime": realtime,
    "gate_sustained": sustained,
    "gate_quantization": quantization,
    "gate_error_change": error_change,
    "gate_slowdown": slowdown,
    "gate_reference": lambda: gate_reference(differences(), ["s9"]),
    "gate_repeat": lambda: gate_repeat(differences()),
    "gate_memory": memory,
    "against_baseline": baseline,
}


def every_gate():
    return [one for made in GATES.values() for one in made()]
