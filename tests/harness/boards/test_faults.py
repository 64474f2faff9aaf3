"""Faults of an SSH board, made beside a campaign: quick ones always, others by -m faults."""

import os

import pytest

from benchmarks.board_faults import try_fault
from benchmarks.fault_list import FAULTS

IN_CI = ("session-killed", "link-2s", "disk-full")
"""What neither test_survival.py nor another has, and takes no minute."""


@pytest.fixture(scope="module")
def base(tmp_path_factory, models_folder):
    """Where the undisturbed campaign is kept that the others are held against."""
    return tmp_path_factory.mktemp("undisturbed")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.board if name in IN_CI else pytest.mark.faults)
        for name, fault in FAULTS.items()
        if fault.board == "pi"
    ],
)
def test_campaign_survives_or_says_why_not(name, base, need):
    if name == "disk-full" and os.geteuid() != 0:
        need("needs root, to mount a small disk")
    assert try_fault(name, base)
