"""Seconds that pass only when nobody has anything to do: a thousand nodes live minutes in seconds.

Each node is a thread that runs until it sleeps; of all that sleep, the one whose time comes first goes on. Two never
run at once, so that the same seed gives the same life.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable

STACK_BYTES = 1 << 18


class Over(BaseException):
    """Ends a node's thread."""


class Clock:
    """The time, and who waits for which of it."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.now = 0.0
        """Seconds since the begin."""
        self._waiting: list[tuple[float, int, threading.Semaphore]] = []
        self._order = itertools.count()
        self._own = threading.local()
        self._threads: list[threading.Thread] = []
        self._over = False
        self._failed: list[Exception] = []

    def start(self, at: float, work: Callable[[], None]) -> None:
        """Let a node begin at a time."""

        def live() -> None:
            self._own.turn = turn
            turn.acquire()
            try:
                if not self._over:
                    work()
            except Over:
                return
            except Exception as error:  # noqa: BLE001 - it is raised again where all is run
                self._failed.append(error)
            if not self._over:
                self._next()

        turn = threading.Semaphore(0)
        before = threading.stack_size(STACK_BYTES)
        thread = threading.Thread(target=live, daemon=True)
        thread.start()
        threading.stack_size(before)
        self._threads.append(thread)
        heapq.heappush(self._waiting, (at, next(self._order), turn))

    def sleep(self, seconds: float) -> None:
        """Let others live for some seconds."""
        heapq.heappush(self._waiting, (self.now + seconds, next(self._order), self._mine()))
        self._next()
        self._mine().acquire()
        if self._over:
            raise Over

    def run(self, seconds: float) -> None:
        """Let the nodes live for some seconds; called by who started them. What one of them raised is raised here."""
        self.sleep(seconds)
        if self._failed:
            raise self._failed[0]

    def close(self) -> None:
        """End all nodes, where they are."""
        self._over = True
        for _, _, turn in self._waiting:
            turn.release()
        for thread in self._threads:
            thread.join()

    def _mine(self) -> threading.Semaphore:
        if not hasattr(self._own, "turn"):
            self._own.turn = threading.Semaphore(0)
        turn: threading.Semaphore = self._own.turn
        return turn

    def _next(self) -> None:
        self.now, _, turn = heapq.heappop(self._waiting)
        turn.release()
