"""Series out of the data that CloudWatch was given: a statistic of every period."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from moto.autoscaling.models import FakeAutoScalingGroup
from moto.cloudwatch.models import CloudWatchBackend, MetricAggregatedDatum, MetricDatum, MetricDatumBase

from infra.rehearsal.scaling.clock import Clock
from infra.rehearsal.scaling.metric_math import Series
from infra.rehearsal.scaling.nodes import IN_SERVICE, PENDING, PROCEEDING, WAITING, nodes_of


def periods(clock: Clock, length: int, count: int) -> list[int]:
    """Return the numbers of the newest whole periods, ascending.

    Args:
        clock: the emulator's.
        length: seconds of AWS's.
        count: how many.
    """
    newest = math.floor(clock.now() * clock.speed / length) - 1
    return list(range(newest - count + 1, newest + 1))


def series(
    backend: CloudWatchBackend,
    clock: Clock,
    *,
    namespace: str,
    name: str,
    dimensions: Mapping[str, str],
    stat: str,
    length: int,
    wanted: Sequence[int],
) -> Series:
    """Return a statistic of each of some periods that has data.

    Where AWS's time is faster than ours, a period begins every `length / speed` seconds and still is of the `length`
    seconds before its end: nodes report once a minute, and each report counts as long as it would on AWS.

    Args:
        backend: CloudWatch.
        clock: the emulator's.
        namespace: of the metric.
        name: of the metric.
        dimensions: all of them.
        stat: Sum, Average, Minimum, Maximum, SampleCount or a percentile as p99.
        length: seconds of a period.
        wanted: numbers of the periods.
    """
    step = length / clock.speed
    data = [
        (_seconds(one), one)
        for one in list(backend.metric_data)
        if one.name == name
        and one.namespace == namespace
        and {str(each.name): str(each.value) for each in one.dimensions} == dimensions
    ]
    found: dict[int, float] = {}
    for period in wanted:
        end = (period + 1) * step
        within = [one for at, one in data if end - length <= at < end]
        value = statistic(within, stat)
        if value is not None:
            found[period] = value
    return found


def statistic(data: Sequence[MetricDatumBase], stat: str) -> float | None:
    """Return a statistic of some data; None: there are none, or a percentile of sums alone, which nobody can tell.

    Raises:
        ValueError: no statistic is called so.
    """
    single = [one.value for one in data if isinstance(one, MetricDatum)]
    sums = [one for one in data if isinstance(one, MetricAggregatedDatum)]
    count = len(single) + sum(one.sample_count for one in sums)
    if not count:
        return None
    match stat:
        case "SampleCount":
            return float(count)
        case "Sum":
            return float(sum(single) + sum(one.sum for one in sums))
        case "Average":
            return float((sum(single) + sum(one.sum for one in sums)) / count)
        case "Minimum":
            return float(min([*single, *(one.min for one in sums)]))
        case "Maximum":
            return float(max([*single, *(one.max for one in sums)]))
    if not stat.startswith("p"):
        raise ValueError(f"stat must be Sum, Average, Minimum, Maximum, SampleCount or as p99, got `{stat}`")
    return percentile(sorted(single), float(stat[1:])) if single else None


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value that a share of the values (0 to 100) is not above, between two of them by their distance."""
    at = (len(ordered) - 1) * share / 100
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (at - low))


def _seconds(one: MetricDatumBase) -> float:
    when: datetime = one.timestamp
    return when.replace(tzinfo=when.tzinfo or UTC).timestamp()  # moto's own are UTC and do not say so


def publish_group(backend: CloudWatchBackend, group: FakeAutoScalingGroup, clock: Clock) -> None:
    """Put a group's own counts into CloudWatch, those that it was told to report: Auto Scaling does so every minute."""
    terminating = len(nodes_of(group, WAITING, PROCEEDING))
    counts = {
        "GroupMinSize": group.min_size or 0,
        "GroupMaxSize": group.max_size or 0,
        "GroupDesiredCapacity": group.desired_capacity or 0,
        "GroupInServiceInstances": len(nodes_of(group, IN_SERVICE)),
        "GroupPendingInstances": len(nodes_of(group, PENDING)),
        "GroupTerminatingInstances": terminating,
        "GroupTotalInstances": len(nodes_of(group)),
    }
    data: list[dict[str, Any]] = [
        {
            "MetricName": name,
            "Value": float(counts[name]),
            "Timestamp": datetime.fromtimestamp(clock.now(), UTC).replace(tzinfo=None),
            "Dimensions": [{"Name": "AutoScalingGroupName", "Value": group.name}],
        }
        for name in group.metrics
        if name in counts
    ]
    if data:
        backend.put_metric_data("AWS/AutoScaling", data)
