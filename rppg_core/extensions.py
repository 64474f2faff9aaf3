"""What installed packages add to `rppg` by entry points.

`rppg_core` imports nothing of the packages built on it; they register what they add:

- `rppg.commands`: called with the argparse subparsers, adds a command whose `command` default takes
  the parsed options and returns the exit status.
- `rppg.calibration`: called with (frames of a window, a dataset's name or None, subjects, datasets
  file), returns a calibration file for full-integer models.
"""

import sys
from typing import Any, Dict

COMMANDS, CALIBRATION = "rppg.commands", "rppg.calibration"


def load(group: str) -> Dict[str, Any]:
    """The objects registered in `group`, by name; none on a board, which has `rppg_core` alone."""
    if sys.version_info < (3, 10):
        return {}
    from importlib import metadata  # noqa: PLC0415 # novermin: 3.10 and later

    return {point.name: point.load() for point in metadata.entry_points(group=group)}
