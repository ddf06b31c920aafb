"""Reads the node's own page: its numbers go to CloudWatch, and while a rollout is open the node learns who is there."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import httpx

from serve_config.cloud_metrics import Look, metric_data, read_page
from serve_config.cloud_settings import CloudSettings
from serve_config.fleet import Clients, Fleet, tried

LOOK_SECONDS = 10.0
"""Between two readings of the page, on this machine."""
REPORT_SECONDS = 60.0
"""Between two reports: CloudWatch's standard resolution."""
MEMBERS_SECONDS = 60.0
"""Between two questions for the group's nodes, which are asked only while a rollout is open."""
A_NODE_SECONDS = 0.6
"""The least of it for each node of the group: all together ask less than twice a second, however many they are."""


class Reporter:
    """What was read and reported last."""

    def __init__(self, settings: CloudSettings, fleet: Fleet, aws: Clients, nodes: Path) -> None:
        """Read nothing yet.

        Args:
            settings: the node's.
            fleet: its place among the others.
            aws: the services.
            nodes: file for the ids of the group's nodes.
        """
        self._settings, self._fleet, self._aws = settings, fleet, aws
        self._page = f"http://127.0.0.1:{settings.metrics_port}/metrics"
        self._nodes = nodes
        self._reported: Look | None = None
        self._asked = 0.0
        self._members = 0

    async def run(self) -> None:
        """Read and report until cancelled."""
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            while True:
                await asyncio.sleep(LOOK_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311
                try:
                    answer = await client.get(self._page)
                except httpx.HTTPError:
                    continue  # it starts, or ends: the load balancer sees that by itself
                await self.take(read_page(answer.text, time.monotonic()))

    async def take(self, look: Look) -> None:
        """Do with one reading what is due."""
        await self._tell_members(look)
        if self._reported is None:
            self._reported = look
        elif look.seconds - self._reported.seconds >= REPORT_SECONDS:
            data = metric_data(self._reported, look, self._settings.group)
            self._reported = look
            await tried(lambda: self._put(data), "report to CloudWatch")

    async def _tell_members(self, look: Look) -> None:
        """Write who the group's nodes are, as long as a share of them is to be found."""
        if look.percentage >= 100:
            self._nodes.unlink(missing_ok=True)
            self._asked = 0.0
            return
        if self._asked and look.seconds - self._asked < max(MEMBERS_SECONDS, A_NODE_SECONDS * self._members):
            return
        self._asked = look.seconds
        await tried(self._write_members, "read the group's nodes")

    def _write_members(self) -> None:
        found = self._fleet.members()
        self._members = len(found)
        partial = self._nodes.with_suffix(".part")
        partial.write_text("\n".join(found) + "\n")
        partial.replace(self._nodes)

    def _put(self, data: list[dict[str, object]]) -> None:
        self._aws.metrics.put_metric_data(Namespace=self._settings.metrics_namespace, MetricData=data)
