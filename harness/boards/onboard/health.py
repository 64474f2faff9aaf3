"""How a board fares while a replay runs: read from /sys and /proc once a second, a few files.

What a board has no file for is left out. Throttling is read from the cooling devices that slow a
processor down, from the limit a policy puts on its clock, from x86's counters and from the
Raspberry Pi's firmware (bits 0 to 3 of ``get_throttled``: what goes on now).
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from harness.boards.onboard.lease import uptime_s

SLOWING = ("cpu", "processor", "thermal-devfreq")
PI_FLAGS = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
STOOD_STILL_S = 2.0
"""A sampler that comes this much too late was not let run."""
MAX_POINTS = 120
IDLE_FIELDS = (3, 4)
"""Of the numbers in the first line of /proc/stat: idle, and waiting for the disk."""
MILLI = 1e-3


class Sampler:
    """Watches the board; ``sample`` as often as wanted, then ``summary``.

    Made before the replay's process is started, and asked for a summary after that was waited for:
    its own use of the processor is then that of this process and of its children.
    """

    def __init__(
        self, system: Path = Path("/sys"), proc: Path = Path("/proc"), late_s: float = 3.0
    ) -> None:
        cpus = system / "devices" / "system" / "cpu"
        self._proc = proc
        self._late_s = late_s
        self._zones = [
            *system.glob("class/thermal/thermal_zone*/temp"),
            *system.glob("class/apex/apex_*/temp"),
        ]
        self._coolers = [
            (path, kind)
            for path in system.glob("class/thermal/cooling_device*/cur_state")
            for kind in [_text(path.with_name("type")).lower()]
            if any(word in kind for word in SLOWING)
        ]
        self._clocks = list(cpus.glob("cpufreq/policy*/scaling_cur_freq"))
        self._caps = list(cpus.glob("cpufreq/policy*/scaling_max_freq"))
        self._counters = list(cpus.glob("cpu*/thermal_throttle/core_throttle_count"))
        self._pi = list(system.glob("devices/platform/soc/soc:firmware/get_throttled"))
        governors = {_text(path) for path in cpus.glob("cpufreq/policy*/scaling_governor")}
        self._governor = ", ".join(sorted(governors))
        self._first = {path: _number(path) for path in self._caps + self._counters}
        self._busy_s, self._own_s = self._all_busy_s(), _own_s()
        self._oom_kills = self._kills()
        self._start_s = self._last_s = uptime_s()
        self._offset_s = time.time() - self._start_s
        self._cost_s = 0.0
        self._jump_s = self._still_s = 0.0
        self._throttled: Set[str] = set()
        self._throttled_after_s: Optional[float] = None
        self._points: List[Dict[str, float]] = []
        self.sample()

    def sample(self) -> None:
        """Look once."""
        began = time.thread_time()
        now = uptime_s()
        offset = time.time() - now
        if abs(offset - self._offset_s) > abs(self._jump_s):
            self._jump_s = offset - self._offset_s
        self._offset_s = offset
        self._still_s = max(self._still_s, now - self._last_s)
        self._last_s = now
        slowed = set(self._throttling())
        if slowed and self._throttled_after_s is None:
            self._throttled_after_s = round(now - self._start_s, 2)
        self._throttled |= slowed
        point = {"at_s": round(now - self._start_s, 2), "free_memory_bytes": self._free_bytes()}
        for name, paths, largest in (
            ("temperature_c", self._zones, max),
            ("slowest_mhz", self._clocks, min),
        ):
            values = [value for value in map(_number, paths) if value is not None]
            if values:
                point[name] = round(largest(values) * MILLI, 1)
        self._points.append(point)
        self._cost_s += time.thread_time() - began

    @property
    def latest(self) -> Dict[str, Any]:
        """What the last look saw, and how the board was slowed down so far, with the first time."""
        return {
            "start_uptime_s": round(self._start_s, 2),
            "throttled": sorted(self._throttled),
            "throttled_after_s": self._throttled_after_s,
            **self._points[-1],
        }

    def summary(self) -> Dict[str, Any]:
        """Return what was seen, after a last look."""
        self.sample()
        seconds = max(self._last_s - self._start_s, 1e-3)
        own = _own_s() - self._own_s
        busy = self._all_busy_s()
        foreign: Optional[float] = None
        if busy is not None and self._busy_s is not None:
            foreign = round(max(0.0, busy - self._busy_s - own) / seconds, 3)
        found: Dict[str, Any] = {
            "start_uptime_s": round(self._start_s, 2),
            "seconds": round(seconds, 2),
            "samples": len(self._points),
            "sampling_ms": round(self._cost_s * 1e3, 2),
            "own_cores": round(own / seconds, 3),
            "foreign_cores": foreign,
            "clock_jump_s": round(self._jump_s, 3),
            "stood_still_s": round(self._still_s, 2) if self._still_s > self._late_s else 0.0,
            "throttled": sorted(self._throttled),
            "throttled_after_s": self._throttled_after_s,
            "oom_kills": self._kills() - self._oom_kills,
            "min_free_memory_bytes": min(point["free_memory_bytes"] for point in self._points),
            "points": self._points[:: -(-len(self._points) // MAX_POINTS)],
        }
        if self._governor:
            found["governor"] = self._governor
        for name, key, of in (
            ("max_temperature_c", "temperature_c", max),
            ("min_mhz", "slowest_mhz", min),
        ):
            values = [point[key] for point in self._points if key in point]
            if values:
                found[name] = of(values)
        return found

    def _throttling(self) -> Iterator[str]:
        for path, kind in self._coolers:
            if (_number(path) or 0) > 0:
                yield "cooled by " + kind
        for path in self._caps:
            now, first = _number(path), self._first[path]
            if now is not None and first is not None and now < first:
                yield f"clock limited to {now * MILLI:.0f} MHz"
        for path in self._counters:
            if (_number(path) or 0) > (self._first[path] or 0):
                yield "slowed down for heat"
        for path in self._pi:
            with contextlib.suppress(ValueError):
                bits = int(_text(path), 16)
                yield from (name for bit, name in enumerate(PI_FLAGS) if bits >> bit & 1)

    def _all_busy_s(self) -> Optional[float]:
        """Return the time all cores together were busy since the board was started."""
        words = _text(self._proc / "stat").split("\n", 1)[0].split()
        if words[:1] != ["cpu"]:
            return None
        ticks = [int(word) for word in words[1:9]]
        idle = sum(ticks[field] for field in IDLE_FIELDS)
        return float(sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")

    def _free_bytes(self) -> float:
        return float(dict(_pairs(self._proc / "meminfo")).get("MemAvailable:", 0)) * 1024

    def _kills(self) -> int:
        return dict(_pairs(self._proc / "vmstat")).get("oom_kill", 0)


def _own_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _pairs(path: Path) -> Iterator[Tuple[str, int]]:
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) > 1 and words[1].isdigit():
            yield words[0], int(words[1])


def _number(path: Path) -> Optional[int]:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:  # also a sensor that cannot be read just now
        return ""
