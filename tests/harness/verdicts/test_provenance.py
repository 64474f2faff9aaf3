"""Which differences spoil which comparison."""

import pytest

from harness.verdicts.provenance import Compared, Provenance, changed, flattened

BASE = {
    "processor": "Cortex-A53",
    "machine": "aarch64",
    "kernel": "4.14",
    "python": "3.7.3",
    "numpy": "1.16",
    "opencv": "4.5",
    "runtime": "tflite_runtime 2.5",
    "delegate": "none",
    "threads": "4",
    "model": "tscan-afrl/int8",
    "model_sha256": "a" * 64,
    "detector": "haar",
    "labels": "ppg-fft",
    "pace": "fast",
    "settings": {"pulse.low_hz": 0.75},
}
BOTH, TIME, ERROR, NEITHER = {*Compared}, {Compared.TIME}, {Compared.ERROR}, set()


@pytest.mark.parametrize(
    ("key", "value", "spoilt"),
    [
        ("processor", "Cortex-A72", TIME),
        ("machine", "x86_64", TIME),
        ("kernel", "6.1", TIME),
        ("python", "3.11", TIME),
        ("numpy", "2.0", TIME),
        ("opencv", "5.0", TIME),
        ("runtime", "ai_edge_litert 2.3", TIME),
        ("delegate", "edgetpu", TIME),
        ("threads", "1", TIME),
        ("model", "mine", NEITHER),
        ("model_sha256", "b" * 64, NEITHER),
        ("detector", "yunet", BOTH),
        ("labels", "hr-row", ERROR),
        ("pace", "realtime", BOTH),
        ("settings", {"pulse.low_hz": 0.6}, BOTH),
        ("settings", {"pulse.low_hz": 0.75, "pulse.new": 1}, BOTH),
    ],
)
def test_every_key_spoils_what_depends_on_it(key, value, spoilt):
    (found,) = changed(Provenance(**BASE), Provenance(**{**BASE, key: value}))
    assert {one for one in Compared if found.spoils(one)} == spoilt
    assert found.key.startswith(key)


def test_every_field_has_been_thought_of():
    assert set(BASE) == set(Provenance.model_fields)


def test_equals_differ_in_nothing():
    assert changed(Provenance(**BASE), Provenance(**BASE)) == ()


def test_a_difference_is_one_short_line():
    other = Provenance(**{**BASE, "model_sha256": "b" * 64, "settings": {}})
    lines = [str(one) for one in changed(Provenance(**BASE), other)]
    assert lines == [
        f"model_sha256: {'a' * 12}... -> {'b' * 12}...",
        "settings.pulse.low_hz: 0.75 -> nothing",
    ]


def test_settings_are_flattened_by_name():
    nested = {"pulse": {"low_hz": 0.75, "band": [1, 2]}, "hold_s": None}
    assert flattened(nested) == {"hold_s": None, "pulse.band": "[1, 2]", "pulse.low_hz": 0.75}
