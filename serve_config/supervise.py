"""Keeps one process running: started again when it ends, given up when it ends again and again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from serve_config.errors import ServeFailedError
from serve_config.processes import Child, log

MOST_STARTS, WINDOW_SECONDS = 5, 120.0
"""A process that is started more often in this time is given up."""

Step = Callable[[], Coroutine[Any, Any, None]]


class Kept:
    """One process that is kept running."""

    def __init__(
        self, name: str, start: Callable[[], Coroutine[Any, Any, Child]], *, started: Step, ended: Step
    ) -> None:
        """Start nothing yet.

        Args:
            name: for the log.
            start: starts it.
            started: run after every start; may take long, and is broken off when the process ends meanwhile.
            ended: run after every end that was not asked for.
        """
        self.name = name
        """For the log and the metrics."""
        self.restarts = 0
        """How often it was started again."""
        self.child: Child | None = None
        """The process, once it was started."""
        self._start, self._started, self._ended = start, started, ended

    async def run(self) -> None:
        """Keep it running until cancelled; then leave the process to the caller.

        Raises:
            ServeFailedError: it ends again and again.
        """
        starts: list[float] = []
        while True:
            now = time.monotonic()
            starts = [*(begun for begun in starts if now - begun < WINDOW_SECONDS), now]
            if len(starts) > MOST_STARTS:
                message = f"{self.name} ended {MOST_STARTS} times in a row; see the log above"
                raise ServeFailedError(message, reason="load")
            self.child = await self._start()
            code = await self._until_ended(self.child)
            await self.child.kill()  # what it had started ends with it
            await self._ended()
            self.restarts += 1
            log(f"{self.name} ended with code {code} ({self.child.last_words()}): started again")

    async def _until_ended(self, child: Child) -> int:
        ended = asyncio.create_task(child.ended())
        started = asyncio.create_task(self._started())
        try:
            await asyncio.wait([ended, started], return_when=asyncio.FIRST_COMPLETED)
            if started.done() and not ended.done():
                started.result()
            return await ended
        finally:
            ended.cancel()
            started.cancel()
            await asyncio.gather(ended, started, return_exceptions=True)
