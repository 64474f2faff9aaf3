"""A real labgrid farm on this machine, for the tests beside it."""

import itertools
import os
import re
import signal
import subprocess
import time

US, OTHER = "ci/runner", "desk/eve"
START_S = 20.0
RESOURCES = """
board:
  NetworkService: {{address: 127.0.0.1, port: {port}, username: {user}}}
pair:
  first: {{cls: NetworkService, address: 127.0.0.1, port: {port}, username: {user}}}
  second: {{cls: NetworkService, address: 127.0.0.1, port: {port}, username: {user}}}
switched-off:
  NetworkService: {{address: '', username: {user}}}
"""


class Farm:
    """A coordinator, its exporters, and what a person does with them."""

    def __init__(self, programs, folder):
        self.programs = programs
        self.folder = folder
        self.address = ""
        self._numbers = itertools.count(1)
        self._running = {}

    def start(self):
        """Start the coordinator, at a port that is free."""
        said = self._spawn("coordinator", "labgrid-coordinator", "--listen", "127.0.0.1:0")
        self.address = "127.0.0.1:" + self._until(said, r"listening on .*:(\d+)")[1]

    def export(self, name, text, *more):
        """Start an exporter of these resources, and wait until the coordinator has them."""
        config = self.folder / f"{name}.yaml"
        config.write_text(text)
        command = ("-c", self.address, "-n", name, *more, str(config))
        self._spawn(name, "labgrid-exporter", *command)
        end = time.monotonic() + START_S
        while f"{name}/" not in self.client("resources").stdout:
            assert time.monotonic() < end, "the exporter did not come up"
            time.sleep(0.1)

    def stop(self, name):
        """End a process as a switched-off machine does."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop_all(self):
        for name in reversed(list(self._running)):
            self.stop(name)

    def client(self, *arguments, who=OTHER):
        """What labgrid-client does and says when someone else calls it."""
        host, user = who.split("/")
        return subprocess.run(
            [f"{self.programs}/labgrid-client", "-x", self.address, *arguments],
            env={**os.environ, "LG_HOSTNAME": host, "LG_USERNAME": user},
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )

    def do(self, place, *arguments, who=OTHER):
        """The same, for one place; it must succeed."""
        done = self.client("-p", place, *arguments, who=who)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def new_place(self, match="lab/board/NetworkService"):
        """The name of a place that nobody has used yet."""
        name = f"pi-{next(self._numbers)}"
        self.do(name, "create")
        if match:
            self.do(name, "add-match", match)
        return name

    def holder(self, place):
        """Who has a place, or None."""
        found = re.search(r"^  acquired: (.*)$", self.do(place, "show"), re.MULTILINE)
        return None if found[1] == "None" else found[1]

    def becomes(self, place, holder, within_s=10.0):
        """Wait until a place is someone's (None: nobody's)."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            if self.holder(place) == holder:
                return True
        return False

    def _spawn(self, name, program, *arguments):
        log = self.folder / f"{name}.log"
        with log.open("w") as out:
            self._running[name] = subprocess.Popen(
                [f"{self.programs}/{program}", *arguments],
                cwd=self.folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        return log

    def _until(self, log, pattern):
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if found := re.search(pattern, log.read_text()):
                return found
            time.sleep(0.05)
        raise AssertionError(f"never said: {log.read_text()}")
