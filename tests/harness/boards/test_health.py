"""What spoils a measurement is seen, said, and costs next to nothing to look for."""

import time

import pytest

from harness.boards.health import troubles
from harness.boards.onboard import health
from harness.boards.onboard.health import Sampler
from harness.boards.settings import HealthLimits

STAT = "cpu  {busy} 0 0 1000 0 0 0 0 0 0\n"


class Machine:
    """A folder that looks like a board's /sys and /proc."""

    def __init__(self, root):
        self.system, self.proc = root / "sys", root / "proc"
        self.write("proc/stat", STAT.format(busy=100))
        self.write("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 500 kB\n")
        self.write("proc/vmstat", "oom_kill 3\n")

    def write(self, name, text):
        path = self.system.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    def watch(self, change=lambda: None):
        sampler = Sampler(self.system, self.proc)
        change()
        sampler.sample()
        return sampler.summary()


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_board_without_sensors_is_in_good_health(machine):
    found = machine.watch()
    assert found["throttled"] == []
    assert found["min_free_memory_bytes"] == 512_000
    assert "max_temperature_c" not in found
    assert troubles(found, HealthLimits(max_temperature_c=50, max_load=0.1)) == []


def test_hottest_sensor_counts_the_edge_tpus_too(machine):
    machine.write("sys/class/thermal/thermal_zone0/temp", "51000")
    machine.write("sys/class/apex/apex_0/temp", "61500")
    found = machine.watch()
    assert found["max_temperature_c"] == 61.5
    assert troubles(found, HealthLimits(max_temperature_c=60)) == ["62 degrees, above 60"]
    assert troubles(found, HealthLimits(max_temperature_c=70)) == []


PI = "sys/devices/platform/soc/soc:firmware/get_throttled"
POLICY = "sys/devices/system/cpu/cpufreq/policy0/"
COOLER = "sys/class/thermal/cooling_device0/"
COUNTER = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"


@pytest.mark.parametrize(
    ("before", "then", "says"),
    [
        ({PI: "0x50000"}, {PI: "0x50005"}, ["throttled", "under-voltage"]),
        ({PI: "0x50000"}, {}, []),  # it was, some time ago
        (
            {POLICY + "scaling_max_freq": "1500000"},
            {POLICY + "scaling_max_freq": "1000000"},
            ["clock limited to 1000 MHz"],
        ),
        (
            {COOLER + "type": "thermal-cpufreq-0", COOLER + "cur_state": "0"},
            {COOLER + "cur_state": "2"},
            ["cooled by thermal-cpufreq-0"],
        ),
        ({COOLER + "type": "gpio-fan", COOLER + "cur_state": "1"}, {}, []),
        ({COUNTER: "7"}, {COUNTER: "9"}, ["slowed down for heat"]),
        ({COUNTER: "7"}, {}, []),
    ],
)
def test_throttling_is_seen_wherever_a_board_shows_it(machine, before, then, says):
    for name, text in before.items():
        machine.write(name, text)
    found = machine.watch(lambda: [machine.write(*one) for one in then.items()])
    assert found["throttled"] == sorted(says)
    assert len(troubles(found, HealthLimits())) == len(says)


def test_what_others_use_of_the_processor_is_load(machine):
    ticks = 100  # a second
    found = machine.watch(lambda: machine.write("proc/stat", STAT.format(busy=100 + ticks)))
    assert found["foreign_cores"] > 1.0, "a second of work in less than one"
    assert "foreign load" in troubles(found, HealthLimits(max_load=0.5))[0]
    assert troubles(found, HealthLimits()) == []


def test_own_work_is_no_foreign_load():
    sampler = Sampler()
    start = time.thread_time()
    while time.thread_time() - start < 0.5:
        pass
    found = sampler.summary()
    assert found["own_cores"] * found["seconds"] >= 0.45


def test_clock_that_jumps_and_board_that_stood_still(machine, monkeypatch):
    now = time.time()
    jumped = machine.watch(lambda: monkeypatch.setattr(time, "time", lambda: now + 3600))
    assert troubles(jumped, HealthLimits()) == ["its clock jumped by 3600.0 s"]
    monkeypatch.undo()
    uptime = health.uptime_s
    late = machine.watch(lambda: monkeypatch.setattr(health, "uptime_s", lambda: uptime() + 4))
    assert "it stood still for 4.0 s" in troubles(late, HealthLimits())


def test_memory_and_its_lack(machine):
    found = machine.watch(lambda: machine.write("proc/vmstat", "oom_kill 4"))
    assert found["oom_kills"] == 1
    assert "memory free" in troubles(found, HealthLimits(min_free_memory="1 MB"))[0]


def test_a_look_costs_next_to_nothing():
    sampler = Sampler()
    for _ in range(100):
        sampler.sample()
    assert sampler.summary()["sampling_ms"] / 100 < 5.0, "of every second"


def test_long_replay_leaves_a_short_list():
    sampler = Sampler()
    for _ in range(1000):
        sampler.sample()
    assert len(sampler.summary()["points"]) <= health.MAX_POINTS
