"""A node leaves: unready first, out of the load balancer, serving on while clients still come, then drained."""

from __future__ import annotations

import asyncio
import signal
import time

from serve_config.background import in_background
from serve_config.cloud_settings import CloudSettings
from serve_config.fleet import AWS_ERRORS, Fleet, tried
from serve_config.instance import Notice
from serve_config.processes import Child, log

FIRST_POLL, LONGEST_POLL = 5.0, 20.0
"""Seconds between two questions whether the load balancer is done with this node, doubled each time: of a group that
leaves together each node asks."""
RESERVE_SECONDS = 20.0
"""Of a spot notice: kept for the last requests and the goodbye."""
STOP_SECONDS = 40.0
"""How long the node may take to end after SIGTERM: its own drain, and the model server's end."""


async def leave(settings: CloudSettings, fleet: Fleet, node: Child, notice: Notice) -> None:
    """Take a node out of service without breaking a request off.

    Args:
        settings: the node's.
        fleet: its place among the others.
        node: the serving process.
        notice: why, and how much time there is.
    """
    log(f"leaving ({notice.reason}): no longer ready, out of the load balancer, serving on")
    node.signal(signal.SIGUSR1)
    if await tried(fleet.leave_balancer, "leave the load balancer"):
        await until_released(fleet, node, serving_seconds(settings.drain_seconds, notice))
    node.signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(node.ended(), STOP_SECONDS)
    except TimeoutError:
        log(f"the node did not end within {STOP_SECONDS:.0f} s: killed")


def serving_seconds(drain_seconds: float, notice: Notice) -> float:
    """Return how long to serve on: the load balancer's delay, and less where the machine ends earlier."""
    if notice.seconds is None:
        return drain_seconds
    return max(0.0, min(drain_seconds, notice.seconds - RESERVE_SECONDS))


async def until_released(fleet: Fleet, node: Child, seconds: float) -> None:
    """Wait until the load balancer is done with this node, at most so long, or until the node is gone."""
    deadline = time.monotonic() + seconds
    ended, pause = asyncio.create_task(node.ended()), FIRST_POLL
    try:
        while not ended.done() and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait([ended], timeout=min(pause, left))
            pause = min(2 * pause, LONGEST_POLL)
            try:
                if not await in_background(fleet.in_balancer):
                    return
            except AWS_ERRORS as error:
                log(f"the load balancer does not say whether it is done, waiting: {error}")
    finally:
        ended.cancel()
