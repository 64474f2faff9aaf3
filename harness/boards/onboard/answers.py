"""What the agent says to the host: JSON objects, one a line, on standard output."""

import json
import sys
import threading
import time

from harness.boards.onboard.store import Answer

BEAT_S = 5.0
"""How often the agent tells the host that it is alive."""
ACKNOWLEDGED = b"d"
"""The byte a host writes once it has the records."""

_writing = threading.Lock()


def reply(answer: Answer) -> None:
    """Write one answer; the blank line before it ends whatever a replay left unfinished."""
    with _writing:
        sys.stdout.write("\n" + json.dumps(answer) + "\n")
        sys.stdout.flush()


def beat() -> None:
    """Tell the host that the agent is alive, for as long as it is."""
    while True:
        time.sleep(BEAT_S)
        reply({"agent": "beat"})
