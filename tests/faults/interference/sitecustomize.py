"""Runs in a publisher's process before anything of its own: kills it at a write, or lets it wait at the pointer.

A write is an object put into the models' store, or a file of it replaced. `SKYLIFT_KILL_AT=n`: SIGKILL before the write
number n. `SKYLIFT_MEET=folder`: before the pointer is written, wait until two publishers have come so far.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import time
from pathlib import Path
from typing import Any

import obstore

writes = itertools.count()
put, replace, flock = obstore.put, Path.replace, fcntl.flock
KILL_AT = int(os.environ.get("SKYLIFT_KILL_AT", "-1"))
MEET = os.environ.get("SKYLIFT_MEET", "")


def arrived(target: str) -> None:
    """Do what this process was started for, at a write to the target."""
    if next(writes) == KILL_AT:
        os.kill(os.getpid(), signal.SIGKILL)
    meet(target)


def meet(target: str) -> None:
    """Wait before the pointer's compare-and-swap until two publishers have come so far."""
    if MEET and "current.json" in target:
        (Path(MEET) / str(os.getpid())).touch()
        deadline = time.monotonic() + 60
        while len(list(Path(MEET).iterdir())) < 2:
            if time.monotonic() > deadline:
                raise TimeoutError("the other publisher did not come")
            time.sleep(0.005)


def putting(store: Any, path: str, *words: Any, **named: Any) -> Any:
    """Put an object."""
    arrived(path)
    return put(store, path, *words, **named)


def replacing(self: Path, target: Path) -> Path:
    """Replace a file: half of a local compare-and-swap; those outside the models' folder do not count."""
    if "models" in Path(target).parts:
        arrived(str(target))
    return replace(self, target)


def locking(handle: Any, operation: int) -> None:
    """Lock a file: how a local compare-and-swap begins."""
    meet(str(handle.name))
    flock(handle, operation)


fcntl.flock = locking
obstore.put = putting
Path.replace = replacing  # type: ignore[method-assign, assignment]
