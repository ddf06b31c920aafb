"""A release in its place on the node: a folder, ports, a model server that is kept running, and its health."""

from __future__ import annotations

import asyncio
import time

from serve_config.footprint import kill_first, used_bytes
from serve_config.front import Front
from serve_config.golden import golden_requests
from serve_config.health import Health
from serve_config.processes import log
from serve_config.render import Place, Plan
from serve_config.settings import Settings
from serve_config.supervise import Kept
from serve_config.torchserve import TorchServe
from serve_config.verify import Release
from serve_config.workplace import remove_folder


class Slot:
    """One release: loaded and proven out of service, then put in service, at last emptied and removed."""

    def __init__(self, settings: Settings, plan: Plan, place: Place, release: Release, front: Front) -> None:
        """Lay out the model server's files; nothing is started.

        Args:
            settings: the node's.
            plan: how to serve.
            place: where; its store holds the release's files.
            release: what, verified.
            front: what lets requests through.
        """
        self.place, self.release = place, release
        threads, heap = settings.threads, settings.heap_mb
        self._server = TorchServe(plan, place, release, threads=threads, heap_mb=heap)
        golden, stuck = golden_requests(release.model), settings.stuck_seconds
        self.health = Health(
            self._server,
            golden,
            workers=plan.workers,
            stuck_seconds=stuck,
            serving=self._let_in,
            lost=lambda seconds: front.break_off(place.server, seconds),
            queue_seconds=settings.queue_seconds,
        )
        """Of the model server."""
        self.kept = Kept("torchserve", self._server.start, started=self._prove, ended=self._unproven)
        """The model server's process."""
        self.running: asyncio.Task[None] | None = None
        """Ends only with the error that the release was given up with."""
        self._settings, self._front = settings, front
        self._proven = asyncio.Event()
        self._in_service, self._able = False, True

    def start(self) -> None:
        """Start the model server, and keep it running."""
        self.running = asyncio.create_task(self._run())

    async def proven(self) -> None:
        """Wait for the first proof.

        Raises:
            ServeFailedError: it was given up.
        """
        if self.running is None:
            raise RuntimeError("start it first")
        waiting = asyncio.create_task(self._proven.wait())
        try:
            await asyncio.wait({waiting, self.running}, return_when=asyncio.FIRST_COMPLETED)
            if self.running.done():
                self.running.result()
        finally:
            waiting.cancel()

    async def serve(self) -> None:
        """Let requests through to it, from now on whenever it is proven."""
        self._in_service = True
        self._spare(spared=True)
        await self._show()

    async def leave(self) -> None:
        """Let no more requests through."""
        self._in_service = False
        await self._front.set_state(self.place.server, "drain")

    async def empty(self, seconds: float) -> None:
        """Wait so long for the requests in flight."""
        if not await self._front.emptied(self.place.server, seconds):
            log(f"requests to {self.release.version} were still in flight after {seconds:g} s")
        await self._front.set_state(self.place.server, "maint")

    async def halt(self) -> None:
        """Stop its processes; it can be started again."""
        self._in_service = False
        if self.running:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)
        if self.kept.child:
            await self.kept.child.kill()
        self.health.proven = False
        self._proven.clear()

    async def remove(self) -> None:
        """Stop its processes, and remove its files."""
        await self.halt()
        await self._server.close()
        remove_folder(self.place.folder)

    def used_bytes(self) -> int:
        """Return the memory of its processes."""
        return used_bytes(self.kept.child.pid) if self.kept.child else 0

    async def _run(self) -> None:
        watch = self.health.watch(self._settings.probe_seconds)
        tasks = [asyncio.create_task(one) for one in (self.kept.run(), watch)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _prove(self) -> None:
        self._spare(spared=self._in_service)
        await self.health.prove(time.monotonic() + self._settings.start_seconds)
        log(f"{self.health.expected_workers} workers give the golden answers of {self.release.version}")
        self._proven.set()
        await self._let_in(True)

    async def _unproven(self) -> None:
        """The model server ended: what comes is held until the next proof."""
        self.health.proven = False
        await self._show()

    async def _let_in(self, able: bool) -> None:
        """Let requests through, or hold what comes: the last worker is being started again."""
        self._able = able
        await self._show()

    async def _show(self) -> None:
        if self._in_service:
            able = self.health.proven and self._able
            await self._front.set_state(self.place.server, "ready" if able else "maint")

    def _spare(self, *, spared: bool) -> None:
        """Where memory runs out, what is not in service has to go first."""
        if self.kept.child:
            kill_first(self.kept.child.pid, first=not spared)
