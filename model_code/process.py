"""Which process is this, and does another one still run: names that stay right when a pid is used again."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

START_TICKS = 19  # of what follows the name in /proc/PID/stat: field 22, see proc_pid_stat(5)


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process of one machine."""

    host: str
    """Name of its machine, for people."""
    machine: str
    """Boot id and pid namespace: equal where two processes see each other's pids, new after each boot."""
    pid: int
    """Its number there."""
    started: str
    """Clock ticks from boot to its start: another process with the same pid has another value."""

    def __str__(self) -> str:
        return f"host {self.host}, pid {self.pid}"

    @property
    def visible(self) -> bool:
        """True where `runs` can tell: it is of this machine, of this very boot, of this pid namespace."""
        return self.machine == _machine()

    @property
    def runs(self) -> bool:
        """True while it runs (a stopped process does, a killed one not); meaningful where it is `visible`."""
        state, started = _state_and_start(self.pid)
        return state not in ("", "Z", "X") and started == self.started


def this_process() -> Process:
    """Return the process that asks."""
    pid = os.getpid()
    return Process(host=socket.gethostname(), machine=_machine(), pid=pid, started=_state_and_start(pid)[1])


def encoded(process: Process) -> bytes:
    """Return a process as JSON."""
    return json.dumps(asdict(process)).encode()


def decoded(content: bytes) -> Process:
    """Return the process that `encoded` wrote."""
    return Process(**json.loads(content))


def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def _state_and_start(pid: int) -> tuple[str, str]:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "", ""
    return after_name[0], after_name[START_TICKS]
