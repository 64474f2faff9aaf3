"""Faults of the emulated board, made beside a campaign: two always, the others by -m faults."""

import pytest

from benchmarks.board_faults import try_fault
from benchmarks.fault_list import FAULTS

IN_CI = ("virtual-reset",)


@pytest.fixture(scope="module")
def base(tmp_path_factory, emulation):
    """Where the undisturbed campaign is kept that the others are held against."""
    return tmp_path_factory.mktemp("undisturbed")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.virtual if name in IN_CI else pytest.mark.faults)
        for name, fault in FAULTS.items()
        if fault.board == "virtual"
    ],
)
def test_campaign_survives_or_says_why_not(name, base):
    assert try_fault(name, base)
