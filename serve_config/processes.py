"""Child processes that are watched by event and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


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
    def pid(self) -> int:
        """Its process id, and the number of the group that it leads."""
        return self._process.pid

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
        """Kill it and all that it started, and wait."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
