from pathlib import Path

import pytest

from harness.datasets.base import Recording
from harness.datasets.registry import open_dataset
from harness.datasets.selection import Selection, choose, parse_conditions
from rppg_core.errors import UserError

FOUND = [
    Recording("s1/dark", "s1", Path("a"), {"light": "dark", "motion": "still"}),
    Recording("s1/lamp", "s1", Path("b"), {"light": "lamp", "motion": "talking"}),
    Recording("s2/dark", "s2", Path("c"), {"light": "dark", "motion": "talking"}),
    Recording("s10/[x]", "s10", Path("d"), {"light": "sun"}),
]


@pytest.mark.parametrize(
    ("selection", "ids"),
    [
        (Selection(), [0, 1, 2, 3]),
        (Selection(recordings=("s1/dark",)), [0]),
        (Selection(recordings=("*/dark", "s10*")), [0, 2, 3]),
        (Selection(recordings=("s10/[x]",)), [3]),
        (Selection(subjects=("s1",)), [0, 1]),
        (Selection(subjects=("s1", "s2"), conditions={"light": ("dark",)}), [0, 2]),
        (Selection(conditions={"light": ("lamp", "sun")}), [1, 3]),
        (Selection(conditions={"light": ("dark",), "motion": ("talking",)}), [2]),
    ],
)
def test_what_is_meant(selection, ids):
    assert choose(FOUND, selection, "set") == [FOUND[i] for i in ids]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(recordings=("s3/*",)), r"no recording named s3/\*; there are: s1/dark, "),
        (Selection(subjects=("s3",)), "no recording of subject s3; there are"),
        (
            Selection(conditions={"lite": ("dark",)}),
            "no condition 'lite'; there are: light, motion",
        ),
        (
            Selection(conditions={"light": ("dim",)}),
            "no recording with light=dim; light is one of: dark, lamp, sun",
        ),
        (
            Selection(subjects=("s10",), conditions={"motion": ("still",)}),
            "no recording of subject s10, with motion=still",
        ),
    ],
)
def test_nothing_meant_is_one_line_that_lists_what_there_is(selection, message):
    with pytest.raises(UserError, match=message) as raised:
        choose(FOUND, selection, "set")
    assert "\n" not in str(raised.value)


def test_conditions_on_the_command_line():
    assert parse_conditions(["light=dark,lamp", "motion = still", "light=sun"]) == {
        "light": ("dark", "lamp", "sun"),
        "motion": ("still",),
    }
    for bad in ("light", "light=", "=dark", ""):
        with pytest.raises(UserError, match="expected name=value"):
            parse_conditions([bad])


@pytest.fixture
def datasets(tmp_path):
    (tmp_path / "set").mkdir()
    rows = ["file,bpm,subject,light"]
    for subject in ("s1", "s2", "s3"):
        for light in ("dark", "lamp"):
            (tmp_path / "set" / f"{subject}-{light}.avi").touch()
            rows.append(f"{subject}-{light}.avi,72,{subject},{light}")
    (tmp_path / "set" / "labels.csv").write_text("\n".join(rows))
    path = tmp_path / "datasets.yaml"
    path.write_text(
        "mine:\n  kind: folder\n  root: set\n  subjects: [s1, s2, s9]\n"
        "  splits:\n    train: {subjects: [s1]}\n"
        "    night: {conditions: {light: dark}}\n    rest: {recordings: ['s3*']}\n"
    )
    return path


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("mine", ["s1-dark.avi", "s1-lamp.avi", "s2-dark.avi", "s2-lamp.avi"]),
        ("mine:train", ["s1-dark.avi", "s1-lamp.avi"]),
        ("mine:night", ["s1-dark.avi", "s2-dark.avi"]),
    ],
)
def test_filters_and_splits_in_the_datasets_file(datasets, name, ids):
    dataset = open_dataset(name, datasets)
    assert dataset.name == name
    found = dataset.recordings()
    assert [one.id for one in found] == ids
    assert dataset.labels(found[0]).reference_bpm == 72
    assert "subjects: s9: nothing of that name" in dataset.absent()


def test_a_split_that_is_not_there_or_leaves_nothing(datasets):
    with pytest.raises(UserError, match="no split 'test'; it has: night, rest, train"):
        open_dataset("mine:test", datasets)
    with pytest.raises(UserError, match=r"no recording named s3\*"):
        open_dataset("mine:rest", datasets).recordings()
