"""The parts of a serving node that the simulation puts in place of processes, sockets and the metadata service."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx

from serve_config.background import in_background
from serve_config.follow import Follower
from serve_config.instance import LOOK_SECONDS, Notice
from serve_config.refusals import Refusals
from serve_config.rollout import Rollout
from serve_config.settings import parse_settings
from serve_config.verify import load_public_key
from serve_config.workplace import Memory
from tests.bench.fleet_machines import ME, Machines

STOP_SECONDS = 1.0
"""What the end of a node's processes takes."""


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
