"""Serving nodes by the hundred: the real code of their lives, on a clock of their own; only loading is faked."""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import httpx

from serve_config import cloud, fleet, follow, leave, repair, report, rollout, settings, store
from serve_config.cloud_settings import CloudSettings
from serve_config.fleet import Clients
from tests.bench import fleet_serving_node as simulation
from tests.bench.fleet_aws import Bill, Bucket
from tests.bench.fleet_loop import Loop
from tests.bench.fleet_machines import LOAD_SECONDS, ME, Machines, Slot
from tests.bench.fleet_releases import BUCKET, Publisher
from tests.bench.fleet_serving_aws import ServingGroup
from tests.bench.fleet_serving_node import Instance, Pages, starter
from tests.serving import NAME

BOOT_SECONDS = 10.0
"""All nodes of a phase begin within these."""
LEAVE_SECONDS = 5.0
"""And hear within these that they are to go."""
PATIENCE = 1800.0
FREE_BYTES = 64 << 30
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
"""A file system in memory, where there is one: thousands of small files come and go."""


class Fleet:
    """Some serving nodes of one group."""

    def __init__(self, loop: Loop, folder: Path) -> None:
        """Have none yet.

        Args:
            loop: the time.
            folder: the nodes' disks.
        """
        self.loop, self._folder, self.bill = loop, folder, Bill()
        self.bucket = Bucket(self.bill, loop.time, loop.owe)
        self.publisher = Publisher(self.bucket)
        self.group = ServingGroup(self.bill, loop.time, loop.owe, self.publisher.public_key)
        self.machines = Machines(self.group.healthy)
        self.lives: dict[str, asyncio.Task[None]] = {}
        """Node -> its life."""

    def boot(self, count: int) -> None:
        """Have some more nodes boot."""
        known = set(self.group.ids)
        fresh = [f"i-{n:017x}" for n in random.sample(range(1 << 40), count)]
        self.group.ids += [one for one in fresh if one not in known]
        for one in fresh:
            self.lives[one] = asyncio.create_task(self._live(one, len(self.lives)))

    async def until(self, done: Callable[[], bool]) -> float:
        """Let them live until something holds; return the seconds that it took."""
        begun = self.loop.now
        while not done():
            for life in self.lives.values():
                if life.done():
                    life.result()
            if self.loop.now - begun > PATIENCE:
                return math.nan
            await asyncio.sleep(0.5)
        return self.loop.now - begun

    def all_serve(self, version: str) -> Callable[[], bool]:
        """Return whether all nodes serve a version."""
        return lambda: self.machines.share[version] == len(self.group.ids)

    def all_refuse(self, version: str, count: int) -> Callable[[], bool]:
        """Return whether so many nodes have refused a version."""
        return lambda: self.machines.refusing[version] == count

    async def vanish(self, nodes: Sequence[str]) -> None:
        """Let some nodes vanish, without a word."""
        lives = [self.lives.pop(one) for one in nodes]
        for one, life in zip(nodes, lives, strict=True):
            self.group.ids.remove(one)
            life.cancel()
        await asyncio.wait(lives)

    def take_leave(self) -> None:
        """Let all hear that they are to go."""
        for one in self.group.ids:
            delay = random.uniform(0, LEAVE_SECONDS)
            self.loop.call_later(delay, self.machines.leaving.add, one)

    async def _live(self, me: str, number: int) -> None:
        ME.set(me)
        disk = self._folder / me
        disk.mkdir()
        words = CloudSettings(
            models=f"s3://{BUCKET}",
            name=NAME,
            signing_key="arn:aws:kms:eu-central-1:123456789012:key/1",
            group="serve",
            target_group="arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/serve/1",
            metrics_namespace="Skylift/dev",
            region="eu-central-1",
            hook="drain",
            metrics_port=1024 + number,
            state=disk / "state",
        )
        aws = Clients(autoscaling=self.group, balancing=self.group, keys=self.group, metrics=self.group)
        await asyncio.sleep(random.uniform(0, BOOT_SECONDS))
        await cloud.look_after(words, aws, disk)


@contextlib.contextmanager
def simulated(seed: int = 0) -> Iterator[Fleet]:
    """Yield an empty fleet whose store, clock, AWS and processes are the simulation's."""
    random.seed(seed)
    loop = Loop()
    time: Any = SimpleNamespace(monotonic=loop.time)
    with contextlib.ExitStack() as stack:
        use = stack.enter_context
        memory = str(MEMORY) if MEMORY.is_dir() else None
        nodes = Fleet(loop, Path(use(tempfile.TemporaryDirectory(prefix="skylift-fleet-", dir=memory))))
        machines = nodes.machines
        pages: Any = SimpleNamespace(AsyncClient=lambda **_: Pages(machines), HTTPError=httpx.HTTPError)

        async def noticed(instance: Instance) -> object:
            return await instance.noticed()

        for room in (cloud, fleet, follow, leave, repair, rollout, simulation):
            use(patch.object(room, "in_background", loop.in_background))
        for room in (leave, report):
            use(patch.object(room, "time", time))
        use(patch.object(store, "obstore", nodes.bucket))
        use(patch.object(store, "_open", lambda uri: (None, uri.removeprefix("s3://"))))
        use(patch.object(cloud, "adopt_orphans", lambda: None))
        use(patch.object(cloud, "metadata_client", contextlib.AsyncExitStack))
        use(patch.object(cloud, "Instance", lambda _: Instance(machines)))
        use(patch.object(cloud, "first_notice", noticed))
        use(patch.object(cloud, "Child", SimpleNamespace(start=starter(machines))))
        use(patch.object(report, "httpx", pages))
        use(patch.object(rollout, "Slot", lambda *words: Slot(machines, words[2], words[3])))
        use(patch.object(rollout, "free_bytes", lambda *_: FREE_BYTES))
        # How much memory this machine has left is no question here; it would be asked 20 times a second and node.
        use(patch.object(rollout, "LOOK_SECONDS", LOAD_SECONDS))
        use(patch.object(settings, "_descriptions", lru_cache(settings._descriptions)))
        use(contextlib.redirect_stderr(io.StringIO()))
        try:
            asyncio.set_event_loop(loop)
            yield nodes
        finally:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            asyncio.set_event_loop(None)
            loop.close()
