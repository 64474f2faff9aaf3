"""A page written and shown at a size and in a colour scheme."""

from pathlib import Path

from harness.page_command import write_page
from harness.replays import load_cases
from harness.run_file import read_run

NAMES = "subject{} <b>&"


def written(folder: Path) -> Path:
    return write_page(load_cases(folder), read_run(folder), folder, folder / "none.yaml")


def screen(opened, width, scheme):
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},  # a click waits for no scrolling
    ]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
