"""The state of a board that rests, for ``rppg-bench doctor``."""

import contextlib
import os
import time
from pathlib import Path
from typing import List

from harness.boards.onboard.health import Sampler
from harness.boards.onboard.store import Answer, Request, open_root

REST_S = 1.0
"""How long the board's load is watched."""
USB_IDS = {("1a6e", "089a"): "USB, not yet initialised", ("18d1", "9302"): "USB"}
LIBRARIES = (
    "usr/lib/*/libedgetpu.so.1",
    "usr/lib/libedgetpu.so.1",
    "usr/local/lib/libedgetpu.so.1",
)


def checks(request: Request) -> Answer:
    """Return disk, memory, load, temperature, clocks and Edge TPUs; takes ``REST_S``."""
    root = open_root(request["root"])
    sampler = Sampler()
    time.sleep(REST_S)
    space = os.statvfs(str(root))
    return {
        "health": sampler.summary(),
        "free_bytes": space.f_bavail * space.f_frsize,
        "time_s": time.time(),
        "edge_tpus": edge_tpus(),
        "edge_tpu_library": next((str(one) for p in LIBRARIES for one in Path("/").glob(p)), ""),
    }


def edge_tpus(system: Path = Path("/sys"), devices: Path = Path("/dev")) -> List[str]:
    """Return the Edge TPUs there are, one line each: PCI ones by their device, USB ones by id."""
    found = ["PCI, " + str(path) for path in sorted(devices.glob("apex_*"))]
    for path in sorted(system.glob("bus/usb/devices/*/idVendor")):
        with contextlib.suppress(OSError):
            product = path.with_name("idProduct").read_text().strip()
            kind = USB_IDS.get((path.read_text().strip(), product))
            if kind:
                found.append(kind)
    return found
