"""What is worth waking somebody: the alarms of a stack as plain values, and how one is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws.cloudwatch as cloudwatch

ERRORS_PERCENT = 5.0
"""Share of answers 5xx that is an alarm: some 503 under a burst are the queue's bound at work."""
LATENCY_SECONDS = 10.0
"""Slowest 1 % of answers."""
HOTTEST_CELSIUS = 85.0
"""A GPU slows itself down a few degrees above."""
FULLEST_PERCENT = 97.0
"""GPU memory of a serving node: the next release has to fit beside this one."""
ROLLBACK: Sequence[str] = ("serve-errors", "serve-unhealthy")
"""The alarms that stop an instance refresh and bring the old nodes back."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One series of numbers."""

    namespace: str
    """As `AWS/ApplicationELB`."""
    name: str
    """As `RequestCount`."""
    stat: str
    """Sum, Average, Maximum, … or p99."""
    dimensions: Mapping[str, pulumi.Input[str]]
    """Which of the series of that name."""


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """When to raise it."""

    what: str
    """Short name: the last part of the alarm's name."""
    description: str
    """What has happened, and where to look: it is the text of the e-mail."""
    metrics: Mapping[str, Metric]
    """By the word that `expression` calls them."""
    threshold: float
    """Above it is bad."""
    expression: str = ""
    """Metric math that gives one number. Empty: the only metric itself."""
    minutes: int = 5
    """Minutes in a row that it must be bad."""


def balancer_alarms(load_balancer: pulumi.Input[str], target_group: pulumi.Input[str]) -> list[Alarm]:
    """Return the two alarms that also roll an instance refresh back, and the one of latency.

    Args:
        load_balancer: its ARN's suffix, as metrics call it.
        target_group: the same of the target group.
    """
    front = {"LoadBalancer": load_balancer}
    nodes = {"LoadBalancer": load_balancer, "TargetGroup": target_group}
    return [
        Alarm(
            what="serve-errors",
            description=(
                f"More than {ERRORS_PERCENT:g} % of answers are 5xx. Look at the serving nodes' log, and at the "
                "queue: 503 with Retry-After is a full one."
            ),
            metrics={
                "nodes": elb("HTTPCode_Target_5XX_Count", "Sum", front),
                "front": elb("HTTPCode_ELB_5XX_Count", "Sum", front),
                "answers": elb("RequestCount", "Sum", front),
            },
            # Requests that the balancer answers itself are not in RequestCount.
            expression="100 * (FILL(nodes, 0) + FILL(front, 0)) / (FILL(answers, 0) + FILL(front, 0) + 1)",
            threshold=ERRORS_PERCENT,
        ),
        Alarm(
            what="serve-unhealthy",
            description=(
                "A serving node has not been ready for 15 minutes: longer than a start takes. "
                "Its /ready says why; the supervisor replaces it once its own repair has failed."
            ),
            metrics={"unhealthy": elb("UnHealthyHostCount", "Maximum", nodes)},
            threshold=0,
            minutes=15,
        ),
        Alarm(
            what="serve-latency",
            description=f"The slowest 1 % of answers take more than {LATENCY_SECONDS:g} s.",
            metrics={"latency": elb("TargetResponseTime", "p99", front)},
            threshold=LATENCY_SECONDS,
        ),
    ]


def node_alarms(namespace: str, train_group: str, serve_group: str, queue_milliseconds: int) -> list[Alarm]:
    """Return the alarms of what the nodes measure themselves.

    Args:
        namespace: of the metrics that nodes write.
        train_group: the training group's name.
        serve_group: the serving group's name.
        queue_milliseconds: a longer wait in a node's queue is an alarm.
    """
    serve: Mapping[str, pulumi.Input[str]] = {"Group": serve_group}

    def own(name: str, stat: str, dimensions: Mapping[str, pulumi.Input[str]]) -> Metric:
        return Metric(namespace=namespace, name=name, stat=stat, dimensions=dimensions)

    return [
        Alarm(
            what="serve-queue",
            description=(
                f"Requests wait more than {queue_milliseconds} ms in the nodes' queues for 10 minutes: the group "
                "has not grown, or is at its largest (serveMaxNodes)."
            ),
            metrics={"queue": own("QueueMilliseconds", "Average", serve)},
            threshold=queue_milliseconds,
            minutes=10,
        ),
        Alarm(
            what="serve-refused",
            description=(
                "A node refused a release: its signature, its digests or its answer to the golden input was wrong. "
                "It serves the one before. `skylift releases` tells which; somebody should know why."
            ),
            metrics={"refused": own("Refused", "Maximum", serve)},
            threshold=0,
            minutes=1,
        ),
        Alarm(
            what="serve-gpu-memory",
            description=f"A serving GPU's memory is more than {FULLEST_PERCENT:g} % full: no next release fits.",
            metrics={
                "used": own("nvidia_smi_memory_used", "Maximum", serve),
                "total": own("nvidia_smi_memory_total", "Maximum", serve),
            },
            expression="100 * used / total",
            threshold=FULLEST_PERCENT,
            minutes=10,
        ),
        *(
            Alarm(
                what=f"{room}-gpu-temperature",
                description=f"A GPU of the {room} group is hotter than {HOTTEST_CELSIUS:g} °C and slows down.",
                metrics={"celsius": own("nvidia_smi_temperature_gpu", "Maximum", {"Group": group})},
                threshold=HOTTEST_CELSIUS,
                minutes=10,
            )
            for room, group in (("serve", serve_group), ("train", train_group))
        ),
    ]


def elb(name: str, stat: str, dimensions: Mapping[str, pulumi.Input[str]]) -> Metric:
    """Return a metric of the load balancer."""
    return Metric(namespace="AWS/ApplicationELB", name=name, stat=stat, dimensions=dimensions)


def queries(alarm: Alarm) -> list[cloudwatch.MetricAlarmMetricQueryArgsDict]:
    """Return what CloudWatch asks every minute: the metrics, and the expression that judges them."""
    asked: list[cloudwatch.MetricAlarmMetricQueryArgsDict] = [
        {
            "id": word,
            "return_data": not alarm.expression,
            "metric": {
                "namespace": metric.namespace,
                "metric_name": metric.name,
                "stat": metric.stat,
                "period": 60,
                "dimensions": metric.dimensions,
            },
        }
        for word, metric in alarm.metrics.items()
    ]
    if alarm.expression:
        asked.append(
            {"id": "judged", "expression": alarm.expression, "label": alarm.what, "return_data": True}
        )
    return asked


def create(
    name: str,
    alarm: Alarm,
    *,
    physical_name: str | None,
    actions: Sequence[pulumi.Input[str]],
    calm_actions: Sequence[pulumi.Input[str]],
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> cloudwatch.MetricAlarm:
    """Make an alarm.

    Args:
        name: logical name.
        alarm: when to raise it. No data is no alarm: a group of no nodes is well.
        physical_name: known to whoever rolls back by it; None: named by Pulumi.
        actions: ARNs of what is done when it is raised.
        calm_actions: the same for when it is over.
        tags: put on it.
        parent: the component that it belongs to.
    """
    return cloudwatch.MetricAlarm(
        name,
        name=physical_name,
        alarm_description=alarm.description,
        comparison_operator="GreaterThanThreshold",
        threshold=alarm.threshold,
        evaluation_periods=alarm.minutes,
        datapoints_to_alarm=alarm.minutes,
        treat_missing_data="notBreaching",
        metric_queries=queries(alarm),
        actions_enabled=True,
        alarm_actions=actions,
        ok_actions=calm_actions,
        tags=tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )
