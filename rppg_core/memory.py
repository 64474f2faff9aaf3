"""Which stage needed the memory: growth of the process's peak, booked to whoever made it grow."""

import resource
from typing import Any, Dict, Iterable


def peak_memory_bytes() -> int:
    """The most memory this process has held resident so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class MemoryBook:
    """Call `book` after each stage; what was there before the first one is what was loaded."""

    def __init__(self, stages: Iterable[str]) -> None:
        self._peak = self.loaded_bytes = peak_memory_bytes()
        self.grown_bytes = dict.fromkeys(stages, 0)

    def book(self, stage: str) -> None:
        """Put down what the peak has grown by since the last call to `stage`."""
        now = peak_memory_bytes()
        if now > self._peak:
            self.grown_bytes[stage] += now - self._peak
            self._peak = now

    def to_dict(self) -> Dict[str, Any]:
        """As JSON can hold it."""
        return {"loaded_bytes": self.loaded_bytes, "grown_bytes": dict(self.grown_bytes)}
