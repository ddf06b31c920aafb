"""The life of a group of serving nodes, and what each part of it costs: boot, rollouts, bad releases, more, the end."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from tests.bench.fleet_aws import Bill
from tests.bench.fleet_serving import Fleet, simulated
from tests.bench.fleet_serving_aws import APIS

STEADY_SECONDS = 300.0
OPEN_SECONDS = 240.0
"""How long a rollout is open for a share of the nodes."""
REFUSED_SECONDS = 120.0
"""How long a bad release is pointed at: nobody tries it twice."""
SHARE = 10
"""Per cent of the nodes."""


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
    found["leave_nodes"] = len(nodes.lives)
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
