"""The node's end of `warm.py`: starts it, and starts launchers by it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

LAUNCH = [sys.executable, "-m", "model_code.launch"]
"""How a command begins that a warm process can start."""
LOST = 1
"""Exit code of a launcher whose warm process is gone."""


class Warm:
    """A process with all imports made, started again where it has ended."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Start nothing yet.

        Args:
            environment: variables beside our own, for it and all that it forks.
        """
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self.settled = threading.Event()
        """Set unless it is importing: a start would take as long as that does."""
        self.settled.set()

    def takes(self, command: Sequence[str]) -> bool:
        """Tell whether it can start a command."""
        return list(command[: len(LAUNCH)]) == LAUNCH

    def begin(self) -> None:
        """Have it import; of this very thread, with which it ends."""
        if self._process and self._process.poll() is None:
            return
        self.close()
        # Packets: a message is received whole or not at all.
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "model_code.warm"],
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                start_new_session=True,
                env={**os.environ, **self._environment},
            )
        self.settled.clear()
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def start(self, command: Sequence[str]) -> Forked:
        """Start a launcher; it begins once all is imported."""
        self.begin()
        if self._process is None or self._connection is None:
            raise RuntimeError("a warm process must have begun")
        return Forked(self._process, self._connection, command[len(LAUNCH) :])

    def close(self) -> None:
        """End it, and what it has forked."""
        if self._process:
            self._process.kill()
            self._process.wait()
        if self._connection:
            self._connection.close()
        self._process = self._connection = None

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout:
            with process.stdout as said:
                said.readline()  # returns when it has imported all, or has ended
        self.settled.set()


class Forked:
    """A launcher that a warm process has forked, or is about to; as `subprocess.Popen` in what is used of it."""

    def __init__(
        self, warm: subprocess.Popen[bytes], connection: socket.socket, words: Sequence[str]
    ) -> None:
        """Ask for it."""
        self._warm, self._connection = warm, connection
        self._lock, self._wanted = threading.Lock(), 0  # a signal to send once there is somebody
        self.pid = 0
        """Its number, which is its group's too; 0: it has not begun."""
        self.returncode: int | None = None
        """Its exit code, a signal's number with a minus; None while it runs."""
        (out, its_out), (err, its_err) = os.pipe(), os.pipe()
        self.stdout: IO[str] = os.fdopen(out, "r", errors="replace")
        """What it prints."""
        self.stderr: IO[str] = os.fdopen(err, "r", errors="replace")
        """What it says."""
        try:
            with suppress(OSError):  # `wait` finds it lost
                socket.send_fds(connection, [json.dumps(list(words)).encode()], [its_out, its_err])
        finally:
            os.close(its_out)
            os.close(its_err)

    def terminate(self) -> None:
        """Ask it to end, now or as soon as it has begun."""
        self._signal(signal.SIGTERM)

    def kill_group(self) -> None:
        """End it and its trainers at once; before it has begun, the warm process itself."""
        with self._lock:
            pid = self.pid
        with suppress(ProcessLookupError):
            if pid:
                os.killpg(pid, signal.SIGKILL)
            else:
                self._warm.kill()

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        begun = self._heard()
        with self._lock:
            self.pid = begun or 0
        if self._wanted:
            self._signal(self._wanted)
        ended = self._heard() if begun else None
        self.returncode = LOST if ended is None else ended
        return self.returncode

    def _signal(self, number: int) -> None:
        with self._lock:
            self._wanted = number
            if self.pid:
                with suppress(ProcessLookupError):
                    os.kill(self.pid, number)

    def _heard(self) -> int | None:
        """Return the next number that the warm process says, None where it is gone."""
        try:
            said = self._connection.recv(64)
        except OSError:
            return None
        return int(said) if said else None
