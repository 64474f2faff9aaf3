"""Which stage needed the memory: growth of the process's peak, booked to whoever made it grow."""

import resource
from pathlib import Path
from typing import Any, Dict, Iterable

STATUS = Path("/proc/self/status")
SLACK_BYTES = 1 << 20  # the kernel keeps either count in a rough and ready way


def peak_memory_bytes() -> int:
    """The most memory this program has held resident so far.

    What getrusage tells goes back to before the program was started: a child of a large process
    begins with that one's peak. Linux knows it of the program alone.
    """
    try:
        with STATUS.open("rb") as stream:
            for line in stream:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return _peak_by_usage()


def _peak_by_usage() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class MemoryBook:
    """Call `book` after each stage; what was there before the first one is what was loaded."""

    def __init__(self, stages: Iterable[str]) -> None:
        self._peak = self.loaded_bytes = peak_memory_bytes()
        # getrusage takes a twentieth of the time, and is right where nothing larger came before.
        right = _peak_by_usage() <= self.loaded_bytes + SLACK_BYTES
        self._peak_now = _peak_by_usage if right else peak_memory_bytes
        self.grown_bytes = dict.fromkeys(stages, 0)

    def book(self, stage: str) -> None:
        """Put down what the peak has grown by since the last call to `stage`."""
        now = self._peak_now()
        if now > self._peak:
            self.grown_bytes[stage] += now - self._peak
            self._peak = now

    def to_dict(self) -> Dict[str, Any]:
        """As JSON can hold it."""
        return {"loaded_bytes": self.loaded_bytes, "grown_bytes": dict(self.grown_bytes)}
