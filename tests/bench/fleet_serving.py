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
from tests.bench.fleet_releases import BUCKET, Publisher
from tests.bench.fleet_serving_aws import APIS, ServingGroup
from tests.bench.fleet_serving_node import ME, Instance, Machines, Pages, Slot, starter
from tests.serving import NAME

BOOT_SECONDS = 10.0
"""All nodes of a phase begin within these."""
LEAVE_SECONDS = 5.0
"""And hear within these that they are to go."""
STEADY_SECONDS = 300.0
OPEN_SECONDS = 240.0
"""How long a rollout is open for a share of the nodes."""
REFUSED_SECONDS = 120.0
"""How long a bad release is pointed at: nobody tries it twice."""
SHARE = 10
"""Per cent of the nodes."""
PATIENCE = 1800.0
FREE_BYTES = 64 << 30


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

    def vanish(self, nodes: Sequence[str]) -> None:
        """Let some nodes vanish, without a word."""
        for one in nodes:
            self.group.ids.remove(one)
            self.lives.pop(one).cancel()

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
        nodes = Fleet(loop, Path(use(tempfile.TemporaryDirectory(prefix="skylift-fleet-"))))
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
        use(patch.object(rollout, "LOOK_SECONDS", simulation.LOAD_SECONDS))
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


def measure_serving(count: int) -> dict[str, float]:
    """Return calls and seconds of a group's life: boot, rollouts, a bad release, more nodes, the end."""
    with simulated() as nodes:
        return nodes.loop.run_until_complete(_life(nodes, count))


async def _life(nodes: Fleet, count: int) -> dict[str, float]:
    publisher, machines, found = nodes.publisher, nodes.machines, {"nodes": float(count)}
    first, second, third, worse, bad = (publisher.release() for _ in range(5))
    machines.bad |= {worse, bad}
    share = math.ceil(count * SHARE / 100)
    publisher.point(first)

    async def phase(name: str, done: Callable[[], bool], seconds: float = 0.0) -> None:
        """Let them live until something holds, and so long at least; keep what it cost."""
        nodes.bill.clear()
        begun = nodes.loop.now
        found[f"{name}_seconds"] = await nodes.until(done)
        await asyncio.sleep(max(0.0, seconds - (nodes.loop.now - begun)))
        found.update(_costs(name, nodes.bill))

    nodes.boot(count)
    await phase("boot", nodes.all_serve(first))
    await phase("steady", nodes.all_serve(first), STEADY_SECONDS)
    publisher.point(second)
    await phase("release", nodes.all_serve(second))
    publisher.point(third, SHARE)
    await phase("open", lambda: machines.share[third] == share, OPEN_SECONDS)
    found |= {"open_share": share, "open_most": machines.most[third]}
    publisher.point(third)
    await phase("promote", nodes.all_serve(third))
    for name, version, percentage, asked in (("worse", worse, SHARE, share), ("bad", bad, 100, count)):
        publisher.point(version, percentage)
        await phase(name, nodes.all_refuse(version, asked), REFUSED_SECONDS)
        found |= {f"{name}_tried": machines.tried[version], f"{name}_still": machines.share[third]}
    publisher.point(third)
    await asyncio.sleep(30)
    nodes.boot(math.ceil(count / 3))
    await phase("more", nodes.all_serve(third))
    nodes.take_leave()
    await phase("leave", lambda: all(one.done() for one in nodes.lives.values()))
    return found


def _costs(name: str, bill: Bill) -> dict[str, float]:
    return {
        f"{name}_s3": bill.of("s3"),
        f"{name}_s3_peak": bill.peak("s3"),
        f"{name}_api": sum(bill.of(one) for one in APIS),
        f"{name}_group": bill.of("autoscaling"),
        f"{name}_group_records": bill.size("autoscaling"),
        f"{name}_group_peak": bill.peak("autoscaling"),
        f"{name}_balancer": bill.of("elbv2"),
        f"{name}_balancer_peak": bill.peak("elbv2"),
        f"{name}_metrics": bill.of("cloudwatch"),
    }
