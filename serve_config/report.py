"""Reads the node's own page: its numbers go to CloudWatch, and while a rollout is open the node learns who is there."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import httpx

from serve_config.census import Census
from serve_config.cloud_metrics import LOOK_SECONDS, Look, metric_data, read_page
from serve_config.cloud_settings import CloudSettings
from serve_config.fleet import Clients, Fleet, tried

REPORT_SECONDS = 60.0
"""Between two reports: CloudWatch's standard resolution."""


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
        self._settings, self._aws = settings, aws
        self._page = f"http://127.0.0.1:{settings.metrics_port}/metrics"
        self._census = Census(fleet, nodes)
        self._reported: Look | None = None

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
        await self._census.look(look.seconds, look.percentage)
        if self._reported is None:
            self._reported = look
        elif look.seconds - self._reported.seconds >= REPORT_SECONDS:
            data = metric_data(self._reported, look, self._settings.group)
            self._reported = look
            await tried(lambda: self._put(data), "report to CloudWatch")

    def _put(self, data: list[dict[str, object]]) -> None:
        self._aws.metrics.put_metric_data(Namespace=self._settings.metrics_namespace, MetricData=data)
