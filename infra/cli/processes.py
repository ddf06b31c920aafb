"""Stages as processes: started in a group of their own, measured, and never left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil

from infra.cli.errors import StageFailedError

GRACE_SECONDS = 40.0
"""How long a stage may take to save a checkpoint or drain its requests before it is killed."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A stage that ended well."""

    result: dict[str, Any]
    """The JSON object on the last line of its stdout."""
    seconds: float
    """Wall time."""
    peak_memory_bytes: int
    """Resident memory of its largest single process."""


def run(stage: str, command: list[str], environment: Mapping[str, str] = MappingProxyType({})) -> Finished:
    """Run a stage to its end; its stderr is the operator's.

    Args:
        stage: its name, for messages.
        command: what to start.
        environment: variables beside our own.

    Raises:
        StageFailedError: it ended with another exit code than 0.
    """
    begun = time.monotonic()
    child = start(command, environment=environment)
    try:
        output = child.stdout.read() if child.stdout else b""
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    finally:
        stop(child)
    if child.returncode != 0:
        raise StageFailedError(stage, 2 if child.returncode == 2 else 1)
    lines = output.decode().strip().splitlines()
    result: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return Finished(result=result, seconds=time.monotonic() - begun, peak_memory_bytes=usage.ru_maxrss * 1024)


def start(
    command: list[str], log: Path | None = None, environment: Mapping[str, str] = MappingProxyType({})
) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own; its stdout is ours to read.

    Args:
        command: what to start.
        log: file for its stderr, so that it can outlive us; None: our own stderr.
        environment: variables beside our own.
    """
    variables = {**os.environ, **environment}
    if log is None:
        return subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, env=variables)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=file, start_new_session=True, env=variables
        )


def stop(child: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started: asked first, killed when the grace is over or at a second Ctrl-C."""
    family = _family(child)
    try:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(GRACE_SECONDS)
    finally:
        for process in family:  # torchrun's trainers are in groups of their own: the tree is what counts
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        child.wait()


def _family(child: subprocess.Popen[bytes]) -> list[psutil.Process]:
    if child.returncode is not None:
        return []
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(child.pid)
        return [process, *process.children(recursive=True)]
    return []


def first_json(child: subprocess.Popen[bytes], stage: str) -> dict[str, Any]:
    """Return the JSON object on the first line that a process prints, which says that it is ready.

    Raises:
        StageFailedError: it ended before.
    """
    line = child.stdout.readline() if child.stdout else b""
    if not line.strip():
        raise StageFailedError(stage, 2 if child.wait() == 2 else 1)
    answer: dict[str, Any] = json.loads(line)
    return answer


def terminate_as_interrupt() -> None:
    """Make SIGTERM end this program as Ctrl-C does: every process it started is stopped on the way."""

    def interrupt(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, interrupt)
