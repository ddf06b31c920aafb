"""What a fault is: something is broken on purpose, a promise is kept all the same, and how fast is measured."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

UNPRIVILEGED = ("unshare", "--user")
"""Runs a command without root's right to read and write every file."""
OWN_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount")
"""Runs a command that may mount a small disk which nobody else sees."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one injection showed. A broken promise is no `Seen`: the injection raises AssertionError."""

    what: str
    """What was counted or compared, a few words: `0 of 8,211 requests failed`."""
    recovery_seconds: float | None = None
    """From the injection until the system worked as before; None where nothing had to recover."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of fault. The same function is a test (one injection) and a row of the table (many)."""

    name: str
    """What is injected, for the table and `--only`: `SIGKILL of one rank`."""
    promise: str
    """What must hold, a few words: `weights bit-equal to an undisturbed run`."""
    inject: Callable[[Path], Seen]
    """Break it once, in a new empty folder of its own; assert the promise; return what was seen."""
    times: int
    """Injections of `python -m tests.faults`; the test suite makes one."""
    quick: bool = True
    """Whether the test suite makes one, too; False for what takes minutes and has a shorter relative there."""
    needs: tuple[str, ...] = ()
    """What the fault starts its processes by, if some machines forbid it: it is left out there."""

    def why_not(self) -> str:
        """Return why this machine cannot be broken so, empty where it can."""
        if not self.needs:
            return ""
        done = subprocess.run([*self.needs, "true"], capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else f"{self.needs[0]} is forbidden here: {done.stderr.strip()}"
