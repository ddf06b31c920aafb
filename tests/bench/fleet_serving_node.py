"""The parts of a serving node that the simulation puts in place of processes, sockets and the metadata service."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx

from serve_config.background import in_background
from serve_config.errors import ServeFailedError
from serve_config.follow import Follower
from serve_config.instance import LOOK_SECONDS, Notice
from serve_config.refusals import Refusals
from serve_config.rollout import Rollout
from serve_config.settings import parse_settings
from serve_config.verify import Release, load_public_key
from serve_config.workplace import Memory, remove_folder

LOAD_SECONDS = 30.0
"""What a release takes until it has given its golden answers (assumed)."""
STOP_SECONDS = 1.0
"""What the end of a node's processes takes."""
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


class Node:
    """The serving process: it follows the pointer, and serves."""

    def __init__(self, machines: Machines, command: Sequence[str]) -> None:
        """Read its command line, after the interpreter and the module's name."""
        self._machines = machines
        self.settings = parse_settings(list(command[3:]))
        self.follower: Follower
        self._task = asyncio.create_task(self._live())

    async def _live(self) -> None:
        settings = self.settings
        memory, key = Memory(settings.state, settings.name), load_public_key(settings.public_key)
        run = settings.public_key.parent
        self.follower = Follower(settings, key, memory, Refusals())
        await in_background(self.follower.first_look)
        plan: Any = SimpleNamespace(workers=1, places=(None, None), run=run)
        front: Any = None
        rollout = Rollout(settings, key, plan, front, memory)
        try:
            self._machines.nodes[settings.metrics_port] = self
            await self.follower.boot(rollout)
            await self.follower.follow(rollout)
        finally:
            self._machines.nodes.pop(settings.metrics_port, None)
            self._machines.serves(settings.own_id, "")

    def page(self) -> str:
        """Return of its metrics what the reporter reads."""
        return f"skylift_workers 1.0\nskylift_rollout_percentage {self.follower.percentage}\n"

    async def ended(self) -> int:
        """Wait for its end and return its exit code."""
        await asyncio.wait([self._task])
        return 0 if self._task.cancelled() else 1

    def signal(self, number: signal.Signals) -> None:
        """Be unready at SIGUSR1, drain and end at SIGTERM."""
        self._machines.healthy.discard(self.settings.own_id)
        if number == signal.SIGTERM:
            asyncio.get_running_loop().call_later(STOP_SECONDS, self._task.cancel)

    async def kill(self) -> None:
        """End."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled() and (error := self._task.exception()):
            raise error


class Instance:
    """The metadata service of one machine."""

    def __init__(self, machines: Machines) -> None:
        """Ask nothing yet."""
        self._machines, self._me = machines, ME.get()

    async def id(self) -> str:
        """Return the instance's id."""
        return self._me

    async def noticed(self) -> Notice:
        """Wait until the machine is to be left."""
        while self._me not in self._machines.leaving:
            await asyncio.sleep(LOOK_SECONDS)
        return Notice(reason="scale-in")


class Pages:
    """An HTTP client that reads the nodes' own pages."""

    def __init__(self, machines: Machines) -> None:
        """Read nothing yet."""
        self._machines = machines

    async def __aenter__(self) -> Pages:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close nothing."""

    async def get(self, uri: str) -> SimpleNamespace:
        """Return the page of the node with this port."""
        node = self._machines.nodes.get(int(uri.split(":")[2].partition("/")[0]))
        if node is None:
            raise httpx.ConnectError("it starts, or ends")
        return SimpleNamespace(text=node.page())


def starter(machines: Machines) -> Callable[..., Any]:
    """Return what starts a serving process."""

    async def start(command: Sequence[str], **_: Path | dict[str, str]) -> Node:
        return Node(machines, command)

    return start
