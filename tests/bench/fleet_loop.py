"""asyncio on a clock of its own: seconds pass only when no task has anything to do.

Nothing of a node may wait for anything but the loop: no sockets, no threads.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Loop(asyncio.SelectorEventLoop):
    """A loop that never waits."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.now = 0.0
        """Seconds since the begin."""
        self._owed = 0.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Return the seconds since the begin."""
        return self.now

    def owe(self, seconds: float) -> None:
        """Note how long a blocking call takes; who makes it waits so long afterwards."""
        self._owed += seconds

    async def in_background(self, work: Callable[[], T]) -> T:
        """Return what a blocking call returns, after the time that it takes."""
        self._owed = 0.0
        try:
            return work()
        finally:
            owed, self._owed = self._owed, 0.0
            await asyncio.sleep(owed)


class _Selector(selectors.SelectSelector):
    """Lets the time pass in place of waiting for it."""

    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("every task waits, and none of them for a time")
        self._loop.now += max(0.0, timeout)
        return []
