"""What the ways to a Pulumi CLI share: how one says that it fails, and how its programs are run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType


class NoEngineError(RuntimeError):
    """One way to a Pulumi CLI does not lead to one here; the message says why, without a full stop."""


def run(
    command: list[str],
    folder: Path,
    *,
    seconds: float,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Run a program whose output is progress: it goes to our stderr, for stdout is for results.

    Args:
        command: what to start.
        folder: where.
        seconds: after which it is killed.
        environment: variables beside our own.

    Raises:
        NoEngineError: it cannot be started, fails, or takes too long.
    """
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            timeout=seconds,
            check=False,
        )
    except OSError as error:
        raise NoEngineError(f"`{command[0]}` cannot be started ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise NoEngineError(f"`{command[0]}` was not done after {seconds:.0f} s") from error
    if done.returncode != 0:
        raise NoEngineError(f"`{' '.join(command[:2])}` ended with exit code {done.returncode}")
