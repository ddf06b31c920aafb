"""From one release to the next: fetch, verify, load beside the served one, prove, switch, empty, remove.

Whatever goes wrong before the switch leaves the served release alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from serve_config.background import in_background
from serve_config.errors import InputError, ServeFailedError
from serve_config.footprint import LOOK_SECONDS, MIB, allowed_bytes, free_bytes, needed_bytes
from serve_config.front import Front
from serve_config.processes import log
from serve_config.render import Place, Plan
from serve_config.settings import Settings
from serve_config.slot import Slot
from serve_config.verify import Pointer, Release, fetch_release
from serve_config.workplace import Memory, remove_folder

UNUSABLE = (KeyError, TypeError, ValueError)
"""What comes of a release that is signed and passed by the gate, and does not keep to our formats all the same."""


class Rollout:
    """The served release, and how it is replaced."""

    def __init__(
        self, settings: Settings, key: ec.EllipticCurvePublicKey, plan: Plan, front: Front, memory: Memory
    ) -> None:
        self._settings, self._key, self._plan = settings, key, plan
        self._front = front
        self.memory = memory
        """What outlives the node."""
        self._slots: list[Slot] = []
        self._folders = 0
        self._restarts = 0
        self.served: Slot | None = None
        """The slot in service, once there is one."""
        self.committed = False
        """Whether a replacement has come so far that it cannot be broken off."""
        self.swapping: str | None = None
        """The release that is loaded while none is in service: there was no memory for both."""

    @property
    def version(self) -> str:
        """The served version, empty for none yet."""
        return self.served.release.version if self.served else ""

    @property
    def restarts(self) -> int:
        """How often a model server was started again."""
        return self._restarts + sum(slot.kept.restarts for slot in self._slots)

    def unready(self) -> str | None:
        """Return why nothing is served, None where all is well."""
        if self.swapping:
            return f"{self.swapping} takes the place of {self.version}: there is no memory for both"
        return self.served.health.unready() if self.served else "the golden answers have not been given yet"

    async def open(self, version: str) -> Slot:
        """Put the first release in service.

        Raises:
            ServeFailedError: it is not what was signed, or does not prove itself.
        """
        release, place = await self._fetch(version)
        slot = self._slot(place, release)
        await self._load(slot, allowed_bytes(needed_bytes(release, self._plan.workers), self._free()))
        await slot.serve()
        self._keep(slot)
        return slot

    async def replace(self, version: str) -> None:
        """Put another release in service in place of the served one.

        Raises:
            ServeFailedError: it is refused; the one before is in service.
            StoreAwayError: the store does not answer; likewise.
        """
        release, place = await self._fetch(version)
        old = self._served()
        used, free = old.used_bytes(), self._free()
        needed = needed_bytes(release, self._plan.workers)
        expected = needed or used
        if expected <= free:
            slot = self._slot(place, release)
            await self._load(slot, allowed_bytes(expected, free))
            self.committed = True
            await slot.serve()
            await old.leave()
            self._keep(slot)
            await old.empty(self._settings.response_seconds + 1.0)
            await self._remove(old)
        elif expected <= free + used:
            self.committed = True
            await self._swap(old, self._slot(place, release), allowed_bytes(expected, free + used))
        else:
            remove_folder(place.folder)
            raise ServeFailedError(
                f"{version} needs {expected // MIB} MiB of memory, {(free + used) // MIB} MiB are there without "
                f"{old.release.version}; use a larger machine, fewer --workers, or a smaller release",
                reason="memory",
            )

    async def close(self) -> None:
        """Stop everything."""
        for slot in list(self._slots):
            await self._remove(slot)

    async def _swap(self, old: Slot, slot: Slot, allowed: int) -> None:
        """Stop the served release before the next one is loaded; start it again where that one fails."""
        log(f"no memory for {old.release.version} and {slot.release.version} at once: one after the other")
        self.swapping = slot.release.version
        try:
            await old.leave()
            await old.empty(self._settings.drain_seconds)
            await old.halt()
            try:
                await self._load(slot, allowed)
            except (ServeFailedError, OSError):
                old.start()
                await old.proven()
                await old.serve()
                raise
            await slot.serve()
            self._keep(slot)
            await self._remove(old)
        finally:
            self.swapping = None

    async def _load(self, slot: Slot, allowed: int) -> None:
        """Start a release and wait for its proof; remove it where it fails or is broken off."""
        slot.start()
        proof, watch = asyncio.create_task(slot.proven()), asyncio.create_task(self._exhausts(slot, allowed))
        try:
            done, _ = await asyncio.wait({proof, watch}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except UNUSABLE as error:
            await self._remove(slot)
            raise ServeFailedError(
                f"{slot.release.version} answers what nobody can read ({error!r}); publish it again",
                reason="golden",
            ) from None
        except BaseException:
            await self._remove(slot)
            raise
        finally:
            for task in (proof, watch):
                task.cancel()
            await asyncio.gather(proof, watch, return_exceptions=True)

    async def _exhausts(self, slot: Slot, allowed: int) -> None:
        """Raise once a release takes more memory than it may, or the machine has none left."""
        while True:
            used, free = slot.used_bytes(), self._free()
            if used > allowed or free <= 0:
                raise ServeFailedError(
                    f"{slot.release.version} took {used // MIB} MiB of memory while it was loaded, allowed were "
                    f"{allowed // MIB} MiB; look at what it loads, or use a larger machine",
                    reason="memory",
                )
            await asyncio.sleep(LOOK_SECONDS)

    async def _fetch(self, version: str) -> tuple[Release, Place]:
        """Fetch a release into a folder that was never used: a fetch that was broken off may still write."""
        taken = self.served.place.server if self.served else "b"
        server, ports = ("b", self._plan.places[1]) if taken == "a" else ("a", self._plan.places[0])
        self._folders += 1
        place = Place(server=server, ports=ports, folder=self._plan.run / f"{server}{self._folders}")
        place.folder.mkdir()
        try:
            release = await in_background(self._fetcher(version, place.store))
        except BaseException:
            remove_folder(place.folder)
            raise
        return release, place

    def _fetcher(self, version: str, folder: Path) -> Callable[[], Release]:
        named = Pointer(name=self._settings.name, version=version, counter=self.memory.counter)
        return lambda: fetch_release(self._settings.models, named, self._key, folder)

    def _slot(self, place: Place, release: Release) -> Slot:
        try:
            slot = Slot(self._settings, self._plan, place, release, self._front)
        except (OSError, InputError):
            remove_folder(place.folder)
            raise
        except UNUSABLE as error:
            remove_folder(place.folder)
            raise ServeFailedError(
                f"model.json of {release.version} is not as it should be ({error!r}); publish it again"
            ) from None
        self._slots.append(slot)
        return slot

    def _keep(self, slot: Slot) -> None:
        self.served = slot
        self.memory.remember_good(slot.release.version)
        log(f"{slot.release.version} is served")

    async def _remove(self, slot: Slot) -> None:
        await slot.remove()
        with contextlib.suppress(ValueError):
            self._slots.remove(slot)
            self._restarts += slot.kept.restarts

    def _served(self) -> Slot:
        if self.served is None:
            raise RuntimeError("open a release first")
        return self.served

    def _free(self) -> int:
        limit, reserve = self._settings.memory_mb * MIB, self._settings.memory_reserve_mb * MIB
        used = sum(slot.used_bytes() for slot in self._slots) if limit else 0
        return free_bytes(limit, used) - reserve
