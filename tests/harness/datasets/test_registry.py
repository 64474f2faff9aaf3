from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.datasets.difficulty import DIFFICULTIES
from harness.datasets.registry import load_datasets, open_dataset
from rppg_core.errors import UserError

ROOT = Path(__file__).resolve().parents[3]


def write(tmp_path, text):
    path = tmp_path / "datasets.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_projects_own_file_has_the_synthetic_set():
    dataset = open_dataset("synthetic", ROOT / "datasets.yaml")
    assert dataset.synthetic
    assert len(dataset.recordings()) == 12
    family = open_dataset("synthetic-full", ROOT / "datasets.yaml")
    assert {one.conditions["difficulty"] for one in family.recordings()} == set(DIFFICULTIES)


def test_roots_are_relative_to_the_file_and_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("SETS", str(tmp_path / "sets"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = write(
        tmp_path,
        "near: {kind: folder, root: videos}\n"
        "variable: {kind: ubfc-rppg-2, root: $SETS/ubfc, labels: hr-row}\n"
        "mine: {kind: folder, root: ~/videos, csv: mine.csv}\n",
    )
    assert open_dataset("near", path).root == tmp_path / "videos"
    assert open_dataset("variable", path).root == tmp_path / "sets" / "ubfc"
    assert open_dataset("mine", path).root == tmp_path / "home" / "videos"
    assert open_dataset("mine", path).name == "mine"


def test_an_unknown_name_lists_those_that_exist(tmp_path):
    path = write(tmp_path, "b: {kind: folder, root: x}\na: {kind: synthetic}\n")
    with pytest.raises(UserError, match=r"no dataset 'c'.*it has: a, b"):
        open_dataset("c", path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected entries"),
        ("- a\n", "expected entries"),
        ("a: [", "not valid YAML"),
        ("a: {kind: !!python/object:os.system {}}", "not valid YAML"),
        ("a: text\n", "kind: must be one of ubfc-rppg-1, ubfc-rppg-2, .*folder, synthetic"),
        ("a: {root: x}\n", "kind: must be one of"),
        ("a: {kind: moon, root: x}\n", "not 'moon'"),
        ("a: {kind: [], root: x}\n", "kind: must be one of"),
        ("a: {kind: folder}\n", "a: root: Field required"),
        ("a: {kind: folder, root: 3}\n", "a: root: Input should be a valid string"),
        ("a: {kind: folder, root: x, lables: y}\n", "a: lables: Extra inputs"),
        ("a: {kind: ubfc-rppg-2, root: x, labels: fft}\n", "a: labels: .*'ppg-fft', 'hr-row' or"),
        ("a: {kind: synthetic, clips: 0}\n", "a: clips: "),
        ("a: {kind: synthetic, clips: '3'}\n", "a: clips: "),
        ("a: {kind: synthetic, seconds: .nan}\n", "a: seconds: "),
        ("a: {kind: synthetic, size: [640]}\n", "a: size: "),
        ("a: {kind: synthetic, set: huge}\n", "a: set: .*'default' or 'full'"),
        ("a: {kind: synthetic, difficulty: dark}\n", "a: difficulty: "),
        ("a: {kind: synthetic, difficulty: []}\n", "a: difficulty: "),
        ("a: {kind: synthetic, difficulty: [foggy]}\n", "no difficulty 'foggy'; there are: still"),
        ("a: {kind: synthetic, set: default, difficulty: [dark]}\n", "leave one of the two out"),
        ("a: {kind: synthetic, set: full, clips: 3}\n", "say `clips_each`"),
        ("a: {kind: synthetic, clips_each: 3}\n", "say `clips`"),
        ("a: {kind: synthetic, set: full, clips_each: 0}\n", "a: clips_each: "),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as raised:
        load_datasets(write(tmp_path, text))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{kind: folder, root: $NOT_SET_HERE/x}", "NOT_SET_HERE is not set"),
        ("{kind: folder, root: ~no-such-user-here/x}", "root: "),
        ("{kind: synthetic, size: [641, 480]}", "even numbers"),
        ("{kind: synthetic, size: [64, 48]}", "even numbers"),
        ("{kind: synthetic, pulses: nowhere}", "dataset a: pulses: no label files"),
        (
            "{kind: synthetic, pulses: $NOT_SET_HERE}",
            "pulses: the variable NOT_SET_HERE",
        ),
    ],
)
def test_what_only_opening_can_tell(tmp_path, entry, message):
    with pytest.raises(UserError, match=message):
        open_dataset("a", write(tmp_path, f"a: {entry}\n"))


def test_absent_file(tmp_path):
    with pytest.raises(UserError, match="no such datasets file"):
        load_datasets(tmp_path / "datasets.yaml")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.one_of(st.binary(max_size=80), st.text(max_size=80).map(str.encode)))
def test_garbage_is_refused(tmp_path, text):
    path = tmp_path / "datasets.yaml"
    path.write_bytes(text)
    with pytest.raises(UserError):
        load_datasets(path)
