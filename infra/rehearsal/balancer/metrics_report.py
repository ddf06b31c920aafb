"""The balancer's metrics on their way to CloudWatch, under the dimensions that AWS gives them."""

from __future__ import annotations

import time
from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError

from infra.rehearsal.balancer import balancer_metrics
from infra.rehearsal.balancer.balancer_metrics import Metrics
from infra.rehearsal.balancer.description import Balancing
from infra.rehearsal.emulator import Emulator, EmulatorError
from infra.rehearsal.provider.properties import Value

REPORT_SECONDS = 10.0
"""Between two reports. AWS's come every minute; sums over a period are the same."""


class Report:
    """Sends what was counted."""

    def __init__(self, emulator: Emulator, metrics: Metrics) -> None:
        """Send nothing yet.

        Args:
            emulator: whose CloudWatch is told.
            metrics: where requests are counted.
        """
        self._emulator, self._metrics = emulator, metrics
        self._clients: dict[str, Value] = {}
        self._next = 0.0

    def send(self, balancing: Balancing, states: Mapping[str, str]) -> None:
        """Send a report where one is due.

        Args:
            balancing: whose metrics they are.
            states: of targets, by instance.

        Raises:
            EmulatorError: CloudWatch does not take it.
        """
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REPORT_SECONDS
        front = {"LoadBalancer": balancing.arn.partition("loadbalancer/")[2]}
        counts, groups = self._metrics.take()
        data = balancer_metrics.data(counts, front)
        for group in balancing.groups.values():
            of = {**front, "TargetGroup": group.arn.rpartition(":")[2]}
            members = {one.id: states[one.id] for one in group.targets if one.id in states}
            data += balancer_metrics.hosts(members, of)
            if group.name in groups:
                data += balancer_metrics.data(groups[group.name], of)
        region = balancing.arn.split(":")[3]
        if region not in self._clients:
            self._clients[region] = self._emulator.client("cloudwatch", region)
        try:
            self._clients[region].put_metric_data(Namespace=balancer_metrics.NAMESPACE, MetricData=data)
        except (BotoCoreError, ClientError) as error:
            raise EmulatorError(f"CloudWatch does not take the balancer's metrics: {error}") from error
