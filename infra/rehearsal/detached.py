"""The rehearsal from outside: its world is started as one detached tree of processes, followed, and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from rich.console import Console

from infra.cli.errors import RunFailedError
from infra.rehearsal.folder import Folder, await_end, clear, held, is_up, tidy, write_whole
from infra.rehearsal.machines.namespaces import enter
from infra.rehearsal.plan import Plan
from infra.rehearsal.story import Story
from infra.rehearsal.view import follow

ROOT = Path(__file__).parents[2]
END_SECONDS = 180.0
"""How long a world may take to destroy what is there, before it is killed."""


def start(plan: Plan, folder: Folder, console: Console) -> subprocess.Popen[bytes]:
    """Start a world that rehearses, and return its starter, which lives as long as it does.

    Raises:
        InputError: a rehearsal is up in this folder already.
    """
    with held(folder) as lock:
        if clear(folder):
            console.print("the rehearsal before did not come to its end; what it left is removed")
        plan.write(folder.plan)
        Story(folder.events).tell("note", "rehearsal begins")
        with folder.log.open("wb") as log:
            world = subprocess.Popen(
                enter([sys.executable, "-m", "infra.rehearsal.world_main", str(folder.path)]),
                stdin=subprocess.PIPE,  # the leash
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,  # Ctrl-C is for us, who ask it to end
                pass_fds=[lock],
            )
        facts = {"pid": world.pid, "started": psutil.Process(world.pid).create_time()}
        write_whole(folder.starter, json.dumps(facts).encode())
    return world


def watch(world: subprocess.Popen[bytes], folder: Folder, console: Console) -> bool:
    """Show what happens until it is over or kept; Ctrl-C asks the world to end, a second one ends it at once.

    Returns:
        Whether it came to its end by itself: Ctrl-C did not end it.
    """
    over, undisturbed = _over_or_kept(world, folder), True
    try:
        try:
            follow(folder.events, console, over)
        except KeyboardInterrupt:
            undisturbed = False
            console.print("interrupted: what is there is destroyed (Ctrl-C again: at once)")
            _ask_to_end(world.pid)
            follow(folder.events, console, over)
    finally:
        if not folder.written().get("kept"):
            world.kill()  # does nothing where it has ended
            world.wait()
            tidy(folder)
    return undisturbed


def down(folder: Folder, console: Console) -> None:
    """End the rehearsal of a folder: it destroys what is there; one that does not answer is killed.

    Raises:
        RunFailedError: it is up and its process cannot be told.
    """
    pid = _pid(folder)
    if pid is None:
        raise RunFailedError(
            f"the rehearsal in {folder.path} must say its process, it does not; see {folder.log}"
        )
    deadline = time.monotonic() + END_SECONDS
    _ask_to_end(pid)
    follow(folder.events, console, lambda: not is_up(folder) or time.monotonic() > deadline)
    if is_up(folder):
        console.print("it does not end: killed")
        os.kill(pid, signal.SIGKILL)
        await_end(folder)
    tidy(folder)


def _over_or_kept(world: subprocess.Popen[bytes], folder: Folder) -> Callable[[], bool]:
    return lambda: world.poll() is not None or bool(folder.written().get("kept"))


def _ask_to_end(pid: int) -> None:
    """Signal the world's first process: the only child of its starter, which itself waits and does nothing else."""
    for first in psutil.Process(pid).children():
        first.send_signal(signal.SIGTERM)


def _pid(folder: Folder) -> int | None:
    """Return the starter's process id, if it is still that process."""
    try:
        facts = json.loads(folder.starter.read_bytes())
        same = psutil.Process(facts["pid"]).create_time() == facts["started"]
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None
    return int(facts["pid"]) if same else None
