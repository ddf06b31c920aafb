"""A stage as a process of its own: started, heard, asked to stop, killed where it does not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import IO, Any

from model_code.warm_process import Forked, Warm

ERROR = "error: "
"""How a stage's one line about its failure begins; see `errors.py`."""


class StageProcess:
    """One running stage. What it says on stderr is passed on, the last line of its stdout is its result."""

    def __init__(
        self,
        command: Sequence[str],
        woken: threading.Event,
        environment: Mapping[str, str] = MappingProxyType({}),
        warm: Warm | None = None,
    ) -> None:
        """Start it.

        Args:
            command: what to start, in a session of its own: a signal to this program is not one to it.
            woken: set when it has ended.
            environment: variables beside our own.
            warm: starts it where it can, in an environment of its own.
        """
        self._process: subprocess.Popen[str] | Forked
        if warm and warm.takes(command):
            self._process = warm.start(command)
        else:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
                env={**os.environ, **environment},
            )
        self._said, self._printed = "", [""]
        self._threads = [
            threading.Thread(target=_read, args=(self._process.stderr, self._hear), daemon=True),
            threading.Thread(target=_read, args=(self._process.stdout, self._keep), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        self._ended, self._asked = threading.Event(), False
        threading.Thread(target=self._wait, args=(woken,), daemon=True).start()

    @property
    def running(self) -> bool:
        """True until it has ended and all that it said was heard."""
        return not self._ended.is_set()

    @property
    def code(self) -> int:
        """Its exit code, once it has ended; a signal's number with a minus where one killed it."""
        return int(self._process.returncode or 0)

    @property
    def reason(self) -> str:
        """Why it failed, in its own words."""
        return self._said or f"it ended with exit code {self.code} and said no reason"

    @property
    def result(self) -> dict[str, Any]:
        """The JSON object on the last line that it printed; empty where that is none."""
        lines = self.printed.strip().splitlines()
        try:
            value = json.loads(lines[-1] if lines else "")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def printed(self) -> str:
        """All that it printed on stdout."""
        return "".join(self._printed)

    def ask(self) -> None:
        """Ask it to end, once: torchrun takes a second signal as an order to wait no longer for its trainers."""
        if self.running and not self._asked:
            self._process.terminate()
        self._asked = True

    def kill(self) -> None:
        """End it and its group at once; what has ended is left alone."""
        if self.running and isinstance(self._process, Forked):
            self._process.kill_group()
        elif self.running:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._ended.wait()

    def _wait(self, woken: threading.Event) -> None:
        self._process.wait()
        for thread in self._threads:
            thread.join(1)  # a pipe may have been inherited by what outlives it
        self._ended.set()
        woken.set()

    def _hear(self, line: str) -> None:
        sys.stderr.write(line)
        sys.stderr.flush()
        if line.startswith(ERROR):
            self._said = line.removeprefix(ERROR).strip()

    def _keep(self, line: str) -> None:
        self._printed.append(line)


def _read(pipe: IO[str] | None, take: Callable[[str], None]) -> None:
    for line in pipe or ():
        take(line)
