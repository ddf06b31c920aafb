"""A follower of the pointer whose pointer and whose releases are what the test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from serve_config import follow
from serve_config.follow import Follower
from serve_config.refusals import Refusals
from serve_config.rollout import Rollout
from serve_config.settings import Settings
from serve_config.verify import Pointer
from serve_config.workplace import Memory
from tests.serving import new_signer

SECONDS = 20.0
KEY = new_signer().key.public_key()


@dataclass
class FakeRollout:
    """A rollout whose releases load when the test says so."""

    version: str = "v1"
    committed: bool = False
    fails: dict[str, Exception] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    tried: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    served: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(running=asyncio.Future()))

    async def replace(self, version: str) -> None:
        """Serve it, or do what the test wants."""
        self.tried.append(version)
        if version in self.hangs:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(version)
                raise
        if error := self.fails.get(version):
            raise error
        self.version = version

    async def open(self, version: str) -> object:
        """Serve the first one."""
        await self.replace(version)
        return self.served


class World:
    """A follower whose pointer is what the test last said."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, state: Path | None = None, nodes: Path | None = None
    ) -> None:
        words = Settings(
            models="none",
            name="m",
            public_key=Path("none"),
            node_id="n",
            follow_seconds=1,
            nodes_file=nodes,
        )
        self.says: Pointer | Exception = pointer("v1", 1)
        self.looks = 0
        self.refusals = Refusals()
        self.memory = Memory(state, "m")
        self.follower = Follower(words, KEY, self.memory, self.refusals)
        self.rollout: FakeRollout
        monkeypatch.setattr(follow, "read_pointer", self._read)
        monkeypatch.setattr("serve_config.follow.random.uniform", lambda *_: 0.01)

    def _read(self, *words: object) -> Pointer:
        self.looks += 1
        if isinstance(self.says, Exception):
            raise self.says
        known = cast("Pointer | None", words[-1])
        return known if known == self.says else self.says

    async def looked(self, times: int = 3) -> None:
        """Wait until the follower has looked so often again."""
        wanted = self.looks + times
        async with asyncio.timeout(SECONDS):
            while self.looks < wanted:
                await asyncio.sleep(0.005)

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[FakeRollout]:
        """Follow in the background."""
        self.rollout = FakeRollout()
        self.follower.first_look()
        task = asyncio.create_task(self.follower.follow(cast("Rollout", self.rollout)))
        try:
            yield self.rollout
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def pointer(version: str, counter: int, *previous: str, percentage: int = 100) -> Pointer:
    """Return a pointer."""
    return Pointer(
        name="m",
        version=version,
        counter=counter,
        previous=previous,
        percentage=percentage,
        etag=str(counter),
    )
