"""Follows the model's pointer: what it names and what this node's turn makes of it is put in service, or refused.

A refused release is not tried again before the pointer changes. A store that is away changes nothing.
"""

from __future__ import annotations

import asyncio
import random

from cryptography.hazmat.primitives.asymmetric import ec

from serve_config.background import in_background
from serve_config.errors import InputError, ServeFailedError, StoreAwayError
from serve_config.processes import log
from serve_config.refusals import POINTER, Refusals
from serve_config.rollout import Rollout
from serve_config.settings import Settings
from serve_config.slot import Slot
from serve_config.turn import boot_order, wanted_version
from serve_config.verify import Pointer, read_pointer
from serve_config.workplace import Memory

WHOLE = 100
"""Per cent: no rollout is open."""
MOST_PAUSES = 12
"""Where the store does not answer, the pause doubles up to so many times its length."""


class Follower:
    """The pointer, as it was seen last."""

    def __init__(
        self, settings: Settings, key: ec.EllipticCurvePublicKey, memory: Memory, refusals: Refusals
    ) -> None:
        self._settings, self._key = settings, key
        self._memory, self._refusals = memory, refusals
        self._pointer: Pointer | None = None
        self._failures = 0

    @property
    def percentage(self) -> int:
        """Share of the nodes that the open rollout is for, per cent; 100 where none is open."""
        return self._pointer.percentage if self._pointer and self._pointer.previous else WHOLE

    def first_look(self) -> None:
        """Read the pointer for the first time.

        Raises:
            InputError: the store has no such model.
            ServeFailedError: it is not to be trusted, and no release was ever proven here.
        """
        try:
            self._take(self._read())
        except StoreAwayError:
            raise
        except ServeFailedError as error:
            if not self._memory.good:
                raise
            self._refusals.record(POINTER, error, self._memory.good)

    async def boot(self, rollout: Rollout) -> Slot:
        """Put the wanted release in service, or else the best of those before; return its slot.

        Raises:
            ServeFailedError: none of them can be served; the reason is that of the wanted one.
        """
        good, previous = self._memory.good, self._pointer.previous if self._pointer else ()
        wanted = self._wanted(good)
        refused: ServeFailedError | None = None
        for version in boot_order(wanted, good, previous):
            try:
                slot = await rollout.open(version)
            except StoreAwayError:
                raise
            except ServeFailedError as error:
                refused = refused or error
                continue
            if refused:
                self._refusals.record(wanted, refused, version)
            return slot
        raise refused or ServeFailedError("there is no release to start with; publish one")

    async def follow(self, rollout: Rollout) -> None:
        """Follow until cancelled.

        Raises:
            ServeFailedError: the served release was given up.
        """
        attempt: asyncio.Task[None] | None = None
        tried = ""
        try:
            while True:
                await self._pause(rollout, attempt)
                if attempt and attempt.done():
                    self._judge(attempt, tried, rollout)
                    attempt = None
                if rollout.committed:
                    continue
                _check(rollout)
                looked = await self._look(rollout)
                wanted = self._wanted(rollout.version)
                settled = wanted == rollout.version or self._refusals.holds(wanted)
                if rollout.committed:  # while we looked
                    continue
                if attempt and wanted != tried:
                    log(f"{tried} is not wanted any more: broken off")
                    await _end(attempt)
                    attempt = None
                if settled and looked:
                    self._back()
                if attempt is None and not settled:
                    tried = wanted
                    attempt = asyncio.create_task(rollout.replace(wanted))
        finally:
            if attempt:
                await _end(attempt)

    async def _pause(self, rollout: Rollout, attempt: asyncio.Task[None] | None) -> None:
        """Wait for the next look, the end of an attempt, or the end of the served release."""
        served = rollout.served.running if rollout.served else None
        watched = {task for task in (attempt, None if rollout.committed else served) if task}
        pause = self._settings.follow_seconds * min(2**self._failures, MOST_PAUSES)
        await asyncio.wait(
            watched, timeout=pause * random.uniform(0.8, 1.2), return_when=asyncio.FIRST_COMPLETED  # noqa: S311
        )  # fmt: skip

    def _judge(self, attempt: asyncio.Task[None], version: str, rollout: Rollout) -> None:
        rollout.committed = False
        try:
            attempt.result()
        except (StoreAwayError, OSError) as error:
            self._away(error)
        except ServeFailedError as error:
            self._refusals.record(version, error, rollout.version)
        else:
            self._back()

    async def _look(self, rollout: Rollout) -> bool:
        """Read the pointer again; return whether the store gave it."""
        try:
            pointer = await in_background(self._read)
        except (StoreAwayError, InputError) as error:
            self._away(error)
            return False
        except ServeFailedError as error:
            self._refusals.record(POINTER, error, rollout.version)
        else:
            self._refusals.clear_pointer()
            self._take(pointer)
        return True

    def _read(self) -> Pointer:
        settings = self._settings
        return read_pointer(settings.models, settings.name, self._key, self._memory.counter, self._pointer)

    def _take(self, pointer: Pointer) -> None:
        if pointer is self._pointer:
            return
        self._pointer = pointer
        self._memory.remember_counter(pointer.counter)
        self._refusals.clear()
        self._back()

    def _wanted(self, served: str) -> str:
        if self._pointer is None:
            return served
        nodes = self._settings.node_ids
        if self._settings.nodes_file and not nodes and self.percentage < WHOLE:
            return served or self._pointer.previous[0]  # whose turn it is cannot be told yet
        return wanted_version(self._pointer, self._settings.own_id, nodes)

    def _away(self, error: Exception) -> None:
        if not self._failures:
            log(f"the pointer cannot be followed now, what is served stays: {error}")
        self._failures += 1

    def _back(self) -> None:
        if self._failures:
            log("the pointer is followed again")
        self._failures = 0


def _check(rollout: Rollout) -> None:
    """Raise what the served release was given up with."""
    if rollout.served and rollout.served.running and rollout.served.running.done():
        rollout.served.running.result()


async def _end(attempt: asyncio.Task[None]) -> None:
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
