"""What a model's files tell of how it was made."""

from __future__ import annotations

from pathlib import Path

from harness.verdicts.fidelity import Making
from rppg_core.lightening.inspection import inspect_model
from rppg_core.model_card import read_card
from rppg_core.tscan_int8 import partner_of


def making_of(model: Path) -> Making:
    """Read a model, both files of one in two. Raises ModelError."""
    files = [path for path in (model, partner_of(model)) if path is not None]
    shared = sum(one.shares_scale for path in files for one in inspect_model(path).operators)
    calibration = read_card(model).get("calibration")
    recordings = None if calibration is None else len(calibration.get("recordings", ()))
    return Making(shared, recordings)
