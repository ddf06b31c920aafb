"""The nodes that faults of the serving room break: kept for several faults, and what is always asked of them."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import select
import signal
import tempfile
import time
from functools import cache
from pathlib import Path

import psutil
from PIL import Image

from tests.faults.clients import Clients
from tests.serving import NAME, picture
from tests.serving_node import RunningNode, release, running_node, until

RECOVERY_SECONDS = 120.0
"""Nothing takes so long, not even on a busy machine."""

_kept = contextlib.ExitStack()


@cache
def node(workers: int, *options: str) -> RunningNode:
    """Return a node of the tiny model that is kept until `close`; a fault leaves it well."""
    words = release(Path(_kept.enter_context(tempfile.TemporaryDirectory(prefix="skylift-faults-"))))
    return _kept.enter_context(running_node(words, "--workers", str(workers), *options))


@atexit.register
def close() -> None:
    """Stop all nodes."""
    node.cache_clear()
    _kept.close()


def clients(of: RunningNode, body: bytes = picture(1)) -> Clients:
    """Return clients that send a picture, a small one where nothing else is said."""
    return Clients(f"{of.url}/predictions/{NAME}", of.facts["ca"], body, "image/png")


def slow_picture(side: int) -> bytes:
    """Return a small file of many pixels, which keeps a worker busy."""
    buffer = io.BytesIO()
    Image.new("L", (side, side)).save(buffer, "PNG", compress_level=9)
    return buffer.getvalue()


def java(of: RunningNode) -> psutil.Process:
    """Return TorchServe's process."""
    return next(p for p in of.family() if "org.pytorch.serve.ModelServer" in p.cmdline())


def haproxy(of: RunningNode) -> psutil.Process:
    """Return the front's process."""
    return next(p for p in of.family() if p.name() == "haproxy")


def killed(process: psutil.Process) -> tuple[float, float]:
    """Kill a process; return the moment, and the moment in which all its threads were gone."""
    descriptor = os.pidfd_open(process.pid)
    try:
        begun = time.monotonic()
        process.send_signal(signal.SIGKILL)
        assert select.select([descriptor], [], [], 30)[0], "the process does not die"
        return begun, time.monotonic()
    finally:
        os.close(descriptor)


def whole(of: RunningNode, workers: int) -> bool:
    """Tell whether a node is ready, with all its processes."""
    return of.ready() and len(of.workers()) == workers


def recovered(of: RunningNode, workers: int) -> float:
    """Wait until a node is as it was before, and return that moment."""
    until(lambda: whole(of, workers), RECOVERY_SECONDS, "ready again")
    return time.monotonic()


def no_process_left(of: RunningNode, before: set[int]) -> None:
    """Assert that nothing is a zombie, and that the node's dead have left no process behind.

    Args:
        of: the node, well again.
        before: its family's process ids before the fault.
    """
    states = {p.pid: p.status() for p in of.family()}
    zombies = [pid for pid, state in states.items() if state == psutil.STATUS_ZOMBIE]
    assert not zombies, f"zombies: {zombies}"
    orphans = [pid for pid in before - states.keys() if psutil.pid_exists(pid)]
    assert not orphans, f"orphans: {orphans}"
