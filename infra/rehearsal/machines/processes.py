"""The processes of a machine, as the kernel lists them: who shares a namespace, and who stands."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

STOPPED = "tTZX"
"""States in /proc of a thread that does nothing any more: stopped, traced, dead."""


def processes_beside(pid: int) -> list[psutil.Process]:
    """Return all processes in the process namespace of one, itself among them; none where it is gone."""
    mine, found = _namespace(pid), []
    for one in psutil.pids():
        if mine and _namespace(one) == mine:
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(one))
    return found


def stands(pid: int) -> bool:
    """Tell whether all threads of a process are stopped, or it is gone."""
    try:
        stats = [one.read_text() for one in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:
        return False  # a thread went meanwhile: look again
    return all(stat.rpartition(")")[2].split()[0] in STOPPED for stat in stats)


def _namespace(pid: int) -> str:
    """Return in which processes' namespace one is, empty where it is gone."""
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""
