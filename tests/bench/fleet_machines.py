"""The machines of serving nodes: what they serve, and releases that take their time to load and start nothing."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextvars import ContextVar
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from serve_config.errors import ServeFailedError
from serve_config.verify import Release
from serve_config.workplace import remove_folder

if TYPE_CHECKING:
    from tests.bench.fleet_serving_node import Node

LOAD_SECONDS = 30.0
"""What a release takes until it has given its golden answers (assumed)."""
ME: ContextVar[str] = ContextVar("ME")
"""The node that a task belongs to."""


class Machines:
    """What all nodes do, as the simulation sees it."""

    def __init__(self, healthy: set[str]) -> None:
        """See nothing yet.

        Args:
            healthy: told which nodes answer.
        """
        self.healthy = healthy
        self.serving: dict[str, str] = {}
        """Node -> the version that it serves."""
        self.share: Counter[str] = Counter()
        """Version -> how many nodes serve it."""
        self.most: Counter[str] = Counter()
        """Version -> how many nodes have served it at once."""
        self.tried: Counter[str] = Counter()
        """Version -> how often a node loaded it."""
        self.refusing: Counter[str] = Counter()
        """Version -> how many nodes refused it."""
        self.bad: set[str] = set()
        """Versions that do not give their golden answers."""
        self.leaving: set[str] = set()
        """Nodes that are told to leave."""
        self.nodes: dict[int, Node] = {}
        """Metrics port -> the serving process."""

    def serves(self, node: str, version: str) -> None:
        """Note what a node serves from now on; nothing: it serves no more."""
        before = self.serving.pop(node, "")
        self.share[before] -= 1
        self.healthy.discard(node)
        if version:
            self.serving[node] = version
            self.healthy.add(node)
            self.share[version] += 1
            self.most[version] = max(self.most[version], self.share[version])


class Slot:
    """A release in its place: loading it takes its time and starts nothing."""

    def __init__(self, machines: Machines, place: Any, release: Release) -> None:
        """Take its place."""
        self._machines, self._me = machines, ME.get()
        self.place, self.release = place, release
        self.running: asyncio.Future[None] | None = None
        self.kept = SimpleNamespace(restarts=0, child=None)

    def start(self) -> None:
        """Begin to load."""
        self.running = asyncio.get_running_loop().create_future()
        self._machines.tried[self.release.version] += 1

    async def proven(self) -> None:
        """Take the time; a bad release does not prove itself."""
        await asyncio.sleep(LOAD_SECONDS * random.uniform(0.9, 1.1))
        if self.release.version in self._machines.bad:
            self._machines.refusing[self.release.version] += 1
            raise ServeFailedError("the model does not give its golden answer", reason="golden")

    async def serve(self) -> None:
        """Serve."""
        self._machines.serves(self._me, self.release.version)

    async def leave(self) -> None:
        """Serve no more: another one does."""

    async def empty(self, _: float) -> None:
        """Have no requests in flight."""

    async def remove(self) -> None:
        """Remove its files."""
        if self.running:
            self.running.cancel()
        remove_folder(self.place.folder)

    def used_bytes(self) -> int:
        """Return nothing: what a release takes is not simulated."""
        return 0
