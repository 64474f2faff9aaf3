"""What the board's state during a replay says about its times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.boards.settings import HealthLimits

CLOCK_JUMP_S = 0.5
"""Clocks are steered by far less than this within a replay; more was set by someone."""


def troubles(health: Mapping[str, Any], limits: HealthLimits) -> list[str]:
    """Why the times of a replay are invalid, one phrase a reason; none for a sound one.

    ``health`` is what ``onboard.health.Sampler.summary`` gave; what is not in it is not judged.
    """
    found = [f"throttled: {reason}" for reason in health.get("throttled", [])]
    jump_s = float(health.get("clock_jump_s", 0.0))
    if abs(jump_s) > CLOCK_JUMP_S:
        found.append(f"its clock jumped by {jump_s:.1f} s")
    if still_s := health.get("stood_still_s"):
        found.append(f"it stood still for {still_s:.1f} s")
    temperature_c = health.get("max_temperature_c")
    limit_c = limits.max_temperature_c
    if limit_c is not None and temperature_c is not None and temperature_c > limit_c:
        found.append(f"{temperature_c:.0f} degrees, above {limit_c:g}")
    load = health.get("foreign_cores")
    if limits.max_load is not None and load is not None and load > limits.max_load:
        found.append(f"foreign load of {load:.2f} cores, above {limits.max_load:g}")
    free = health.get("min_free_memory_bytes")
    if limits.min_free_memory is not None and free is not None and free < limits.min_free_memory:
        found.append(f"{free / 1e6:.0f} MB of memory free, below {limits.min_free_memory / 1e6:g}")
    return found
