"""Is the node ready? Golden answers, the expected workers, and a pulse of each of them.

A worker shows a pulse (it touches a file) after every step of its work. The supervisor's golden requests give an
idle worker work every few seconds; a busy one pulses by itself. So a stuck worker is told from a slow or an
overloaded one without waiting in the queue that clients fill.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import httpx

from serve_config.errors import ServeFailedError
from serve_config.golden import Golden, difference
from serve_config.processes import log
from serve_config.torchserve import TorchServe, Worker

POLL_SECONDS = 0.05
"""Between two looks at workers that are loading."""

MOST_LOADS = 4
"""Workers that may die while they load, for each that there must be."""

MOST_MISSES = 20
"""Golden requests that TorchServe may break off (a worker died) before the proof fails."""


class Health:
    """What is known of the model server, and what follows from it."""

    def __init__(
        self,
        server: TorchServe,
        golden: Sequence[Golden],
        *,
        workers: int,
        stuck_seconds: float,
        serving: Callable[[bool], Coroutine[Any, Any, None]] | None = None,
        lost: Callable[[float], Coroutine[Any, Any, None]] | None = None,
        queue_seconds: float = 0.0,
    ) -> None:
        """Know nothing yet.

        Args:
            server: the model server.
            golden: requests with known answers, at least one.
            workers: how many there must be.
            stuck_seconds: a worker without a pulse for so long is stuck.
            serving: told whether requests may come: not while the last worker is being started again.
            lost: told that what has waited for so many seconds gets no answer any more: a worker died with it.
            queue_seconds: how long a request may have waited elsewhere before it reached the model server.
        """
        self._server, self._golden, self._stuck_seconds = server, golden, stuck_seconds
        self._serving, self._lost, self._queue_seconds = serving, lost, queue_seconds
        self._died: float | None = None
        self._next = itertools.cycle(golden)
        self._patience = 1.0
        self._workers: list[Worker] = []
        self._used: dict[int, int] = {}
        self._wrong: str | None = None
        self._unseen: str | None = "the model server has not answered yet"
        self.expected_workers = workers
        """How many workers there must be."""
        self.proven = False
        """Whether this run of the model server has given all the golden answers, on all workers."""
        self.draining = False
        """Whether the node is about to stop."""
        self.last_probe_seconds = 0.0
        """How long the last golden answer took."""
        self.stuck_workers = 0
        """Workers that were replaced because they were stuck."""

    @property
    def ready_workers(self) -> int:
        """Workers that were ready when last looked at."""
        return sum(worker.ready for worker in self._workers)

    def unready(self) -> str | None:
        """Return why the node is not ready, None where it is. Looks at the pulses of this moment."""
        if self.draining:
            return "the node is draining"
        if not self.proven:
            return "the golden answers have not been given yet"
        if self._unseen or self._wrong:
            return self._unseen or self._wrong
        if self.ready_workers != self.expected_workers:
            return f"{self.ready_workers} of {self.expected_workers} workers are ready"
        if stuck := self._stuck():
            return f"{len(stuck)} of {self.expected_workers} workers are stuck"
        return None

    async def prove(self, deadline: float) -> None:
        """Wait until all golden answers were right and every worker has given one.

        Args:
            deadline: in `time.monotonic` seconds.

        Raises:
            ServeFailedError: an answer is wrong, or the deadline has passed.
        """
        await self._until_loaded(deadline)
        begun = time.monotonic()
        waiting = {worker.pid for worker in self._workers}
        left = list(self._golden)
        misses = 0
        while left or waiting:
            golden = left[-1] if left else next(self._next)
            worker = await self._prove_one(golden, deadline)
            if worker is None:
                misses += 1
                if misses > MOST_MISSES or time.monotonic() > deadline:
                    message = "the workers do not answer golden requests; see the log above"
                    raise ServeFailedError(message, reason="golden")
                continue
            del left[-1:]
            waiting.discard(worker)
        self.last_probe_seconds = time.monotonic() - begun
        self._unseen = self._wrong = None
        self.proven = True

    async def _prove_one(self, golden: Golden, deadline: float) -> int | None:
        """Send one golden request; return the worker that answered, None where TorchServe broke it off."""
        sent = time.monotonic()
        try:
            answer = await self._server.predict(golden.body, golden.content_type, max(0.1, deadline - sent))
        except httpx.HTTPError:
            return None
        worker = answer.headers.get("x-skylift-worker")
        if worker is None:
            return None
        if wrong := difference(golden, answer.status_code, answer.content):
            message = f"the model does not give its golden answer: {wrong}; publish it again"
            raise ServeFailedError(message, reason="golden")
        self._patience = max(self._patience, 3 * (time.monotonic() - sent))
        return int(worker)

    async def watch(self, seconds: float) -> None:
        """Probe for ever, a round every so many seconds, and replace workers that are stuck."""
        while True:
            if self.proven:
                await self._look()
                if self._serving and self._unseen is None and not self.ready_workers:
                    await self._serving(False)
                    await self._until_any_worker()
                    await self._serving(self.proven)
                # TorchServe forgets the requests of a batch whose worker dies while it fills. Its queue is first in,
                # first out: once all workers have answered later requests, earlier ones never will be.
                died, begun = self._died, time.monotonic()
                every = await self._probe_workers()
                if self._lost and died is not None and every and begun > died + self._queue_seconds:
                    self._died = None
                    await self._lost(time.monotonic() - died)
                self._replace_stuck()
            await asyncio.sleep(seconds)

    async def _until_loaded(self, deadline: float) -> None:
        seen: set[int] = set()
        while True:
            await self._look()
            seen |= {worker.pid for worker in self._workers}
            if len(seen) > MOST_LOADS * self.expected_workers:
                raise ServeFailedError(
                    f"the model cannot be loaded: {len(seen)} workers died; see the log above",
                    reason="load",
                )
            if self._unseen is None and self.ready_workers == self.expected_workers:
                return
            if time.monotonic() > deadline:
                reason = self._unseen or f"{self.ready_workers} of {self.expected_workers} workers are ready"
                message = f"the model was not loaded in time ({reason}); see the log above"
                raise ServeFailedError(message, reason="load")
            await asyncio.sleep(POLL_SECONDS)

    async def _until_any_worker(self) -> None:
        while self.proven and self._unseen is None and not self.ready_workers:
            await asyncio.sleep(POLL_SECONDS)
            await self._look()

    async def _look(self) -> None:
        before = {worker.pid for worker in self._workers}
        try:
            self._workers = await self._server.workers()
            self._unseen = None
            if before - {worker.pid for worker in self._workers}:
                self._died = time.monotonic()
        except httpx.HTTPError as error:
            self._unseen = f"the model server does not answer ({type(error).__name__})"

    async def _probe_workers(self) -> bool:
        """Send golden requests until each worker had one; idle ones take turns, busy ones pulse by themselves.

        Return whether each has answered.
        """
        unseen = {worker.pid for worker in self._workers}
        for _ in range(2 * len(self._workers)):
            golden, sent = next(self._next), time.monotonic()
            try:
                answer = await self._server.predict(golden.body, golden.content_type, self._patience)
            except httpx.HTTPError:
                return False  # stuck or overloaded: the pulses tell which
            self.last_probe_seconds = time.monotonic() - sent
            worker = answer.headers.get("x-skylift-worker")
            if worker is None:
                return False  # TorchServe's own word (a full queue, a worker that died), none of the model
            if wrong := difference(golden, answer.status_code, answer.content):
                self._wrong = f"a golden answer is wrong: {wrong}"
                log(self._wrong)
                return False
            self._wrong = None
            unseen.discard(int(worker))
            if not unseen:
                return True
        return False

    def _stuck(self) -> list[Worker]:
        now = time.time()
        return [
            worker
            for worker in self._workers
            if worker.ready and self._server.pulse_age(worker.pid, now) > self._stuck_seconds
        ]

    def _replace_stuck(self) -> None:
        """Kill stuck workers, but not those that only starve: one that uses its processor gets four times as long."""
        used, before = {w.pid: self._server.processor_ticks(w.pid) for w in self._workers}, self._used
        self._used = used
        now = time.time()
        for worker in self._stuck():
            works = used[worker.pid] != before.get(worker.pid)
            if works and self._server.pulse_age(worker.pid, now) < 4 * self._stuck_seconds:
                continue
            log(f"worker {worker.pid} shows no progress for {self._stuck_seconds:g} s: replaced")
            self.stuck_workers += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)  # TorchServe starts another one at once
