"""A process on a board, at the other end of an SSH channel."""

from __future__ import annotations

import contextlib
import select
import time

import paramiko
from paramiko.ssh_exception import SSHException

from harness.boards.wire import Deadline, Wire, WireLostError

READ_BYTES = 1 << 16
KILLED = 128 + 9
SETTLE_S = 0.2
"""Time in which a connection that is going is known to be gone."""


class SshWire(Wire):
    """A process at the other end of an SSH channel."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Write to the process."""
        self._channel.settimeout(deadline.left_s)
        try:
            self._channel.sendall(data)
        except TimeoutError as error:
            raise WireLostError(f"nothing was taken for {deadline.limit_s:.0f} s") from error
        except OSError:
            pass  # closed; receive and status say how

    def receive(self, wait_s: float) -> tuple[bytes, bytes] | None:
        """Read what the process wrote."""
        channel = self._channel
        ended = channel.eof_received or channel.closed  # asked first: nothing comes after it
        if not (channel.recv_ready() or channel.recv_stderr_ready()):
            if ended:
                return None
            select.select([channel], [], [], wait_s)
        stdout = channel.recv(READ_BYTES) if channel.recv_ready() else b""
        stderr = channel.recv_stderr(READ_BYTES) if channel.recv_stderr_ready() else b""
        return stdout, stderr

    def status(self, deadline: Deadline) -> int | None:
        """Wait for the exit status; -1 if the channel died without one.

        A signal that ended the process is not told apart by paramiko; over a connection that is
        still up it counts as SIGKILL, which is what nothing on the board can handle.
        """
        channel = self._channel
        if not channel.status_event.wait(deadline.left_s):
            return None
        status = int(channel.recv_exit_status())
        if status == -1 and channel.eof_received:
            time.sleep(SETTLE_S)
            if channel.get_transport().is_active():
                return KILLED
        return status

    def close(self, wait_s: float) -> None:
        """Close the process's input, on which the agent ends all it started, and wait for it."""
        with contextlib.suppress(OSError, EOFError, SSHException):
            self._channel.shutdown_write()
            deadline = Deadline(wait_s)
            while deadline.left_s and self.receive(min(1.0, deadline.left_s)) is not None:
                pass  # an output that nobody reads would keep the process from ending
            self.status(deadline)
        self._channel.close()
