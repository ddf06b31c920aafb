"""Waiting for what others do: AWS's API and the nodes' files tell nobody when they change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from infra.rehearsal.faults.fault import NotRecoveredError

T = TypeVar("T")
POLL_SECONDS = 0.25
PATIENCE = 420.0
"""Seconds that a recovery may take on two busy cores: nodes boot, meet and import torch."""


def until(state: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Return a state once it is true.

    Args:
        state: asked again and again.
        what: what is waited for, for the message.
        seconds: how long.

    Raises:
        NotRecoveredError: it did not come.
    """
    deadline = time.monotonic() + seconds
    while not (found := state()):
        if time.monotonic() > deadline:
            raise NotRecoveredError(f"no {what} within {seconds:.0f} s")
        pause(POLL_SECONDS)
    return found


def pause(seconds: float) -> None:
    """Let some time pass, where time is what is waited for."""
    threading.Event().wait(seconds)
