"""The time of groups and alarms: it may pass faster than ours, as a rehearsal does not wait for a quarter hour."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

FASTEST = 60.0
"""A minute of AWS's in a second of ours: nodes report no oftener."""


@dataclass(kw_only=True)
class Clock:
    """What time it is, and how fast AWS's minutes pass.

    Faster are: the minutes of alarms and of target tracking, warm-ups, grace periods and cooldowns. What a node is
    given to save or drain (a hook's heartbeat timeout) is not, nor an alarm that sets a group's size, as the dead man's
    does: a node's start and a step of the training really take that long.
    """

    now: Callable[[], float] = time.time
    """Seconds since 1970."""
    speed: float = 1.0
    """Seconds of AWS's that pass in one of ours, 1 to 60."""

    def set_speed(self, speed: float) -> None:
        """Let AWS's time pass faster from now on.

        Raises:
            ValueError: out of range.
        """
        if not 1 <= speed <= FASTEST:
            raise ValueError(
                f"speed must be 1 to {FASTEST:g} of AWS's seconds a second, got `{speed}`; take 1"
            )
        self.speed = float(speed)

    def passed(self, since: float) -> float:
        """Return how many of AWS's seconds have passed since a moment."""
        return (self.now() - since) * self.speed
