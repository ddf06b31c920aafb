"""Child processes that are watched by event and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ADOPT_ORPHANS = 36
"""PR_SET_CHILD_SUBREAPER of Linux."""

REAP_SECONDS, POLL_SECONDS = 5.0, 0.005
"""How long the killed children of a child may take to be gone, and between two looks at them."""


def adopt_orphans() -> None:
    """Become the parent of what a dead child leaves, so that it can be waited for wherever process 1 does not."""
    ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1, 0, 0, 0)


def log(message: str) -> None:
    """Say one line on stderr."""
    print(f"skylift: {message}", file=sys.stderr, flush=True)  # noqa: T201


class Child:
    """A running process, leader of a group of its own."""

    def __init__(self, process: asyncio.subprocess.Process, output: Path) -> None:
        self._process, self._output = process, output

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        output: Path,
        descriptors: Sequence[int] = (),
    ) -> Child:
        """Start a process; its stderr is ours.

        Args:
            command: the program and its words.
            folder: its working directory.
            environment: its whole environment.
            output: file that takes its stdout, which is chatter as long as it lives.
            descriptors: open files that it inherits.
        """
        # Where util-linux has it: the kernel kills the child when we are killed without a chance to do so.
        guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with output.open("wb") as stdout:
            process = await asyncio.create_subprocess_exec(
                *guard,
                *command,
                cwd=folder,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stdout,
                pass_fds=descriptors,
                start_new_session=True,
            )
        return cls(process, output)

    def last_words(self) -> str:
        """Return the last lines that it printed, as one."""
        return " | ".join(self._output.read_text(errors="replace").splitlines()[-3:])

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    async def ended(self) -> int:
        """Wait for its end and return its exit code."""
        return await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def kill(self) -> None:
        """Kill it and all that it started, and wait for all of them."""
        group, deadline = self._process.pid, time.monotonic() + REAP_SECONDS
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        await self._process.wait()
        with contextlib.suppress(ChildProcessError):  # nobody is left
            while os.waitpid(-group, os.WNOHANG) or time.monotonic() < deadline:
                await asyncio.sleep(POLL_SECONDS)
