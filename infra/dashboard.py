"""The stack's dashboard, as CloudWatch reads it. Pure."""

from __future__ import annotations

from typing import Any

WIDTH, HEIGHT = 12, 6
"""Of a graph, in the dashboard's grid of 24 columns: two stand side by side."""


def dashboard(
    namespace: str, region: str, train_group: str, serve_group: str, load_balancer: str, target_group: str
) -> dict[str, Any]:
    """Return the dashboard: serving above, training below, GPUs of both last.

    Args:
        namespace: of the metrics that nodes write.
        region: where the metrics are.
        train_group: the training group's name.
        serve_group: the serving group's name.
        load_balancer: suffix of its ARN, as metrics call it.
        target_group: the same of the target group.
    """
    own, serve = namespace, serve_group
    front = ["LoadBalancer", load_balancer]
    nodes = ["TargetGroup", target_group, *front]
    elb = "AWS/ApplicationELB"
    graphs = [
        graph(
            "Requests and errors a minute",
            region,
            [
                [elb, "RequestCount", *front],
                [elb, "HTTPCode_Target_5XX_Count", *front],
                [elb, "HTTPCode_ELB_5XX_Count", *front],
            ],
            stat="Sum",
        ),
        graph(
            "Seconds to an answer",
            region,
            [
                [elb, "TargetResponseTime", *front, {"stat": "p50"}],
                [elb, "TargetResponseTime", *front, {"stat": "p99"}],
            ],
        ),
        graph(
            "Serving nodes and workers",
            region,
            [
                [elb, "HealthyHostCount", *nodes],
                [elb, "UnHealthyHostCount", *nodes],
                [own, "WorkersReady", "Group", serve, {"stat": "Sum"}],
            ],
        ),
        graph(
            "Milliseconds in the queue, releases refused",
            region,
            [
                [own, "QueueMilliseconds", "Group", serve],
                [own, "Refused", "Group", serve, {"stat": "Maximum", "yAxis": "right"}],
            ],
        ),
        graph("Loss, by run", region, [search(own, "Loss")]),
        graph(
            "Steps a second and goodput, by run",
            region,
            [search(own, "StepsPerSecond"), search(own, "Goodput", axis="right")],
        ),
        graph("GPUs at work, %", region, gpu(own, "nvidia_smi_utilization_gpu", serve, train_group)),
        graph("GPU memory, MiB", region, gpu(own, "nvidia_smi_memory_used", serve, train_group)),
    ]
    for index, one in enumerate(graphs):
        one["x"], one["y"] = index % 2 * WIDTH, index // 2 * HEIGHT
    return {"widgets": graphs}


def graph(title: str, region: str, metrics: list[list[Any]], stat: str = "Average") -> dict[str, Any]:
    """Return one graph, a point a minute."""
    return {
        "type": "metric",
        "width": WIDTH,
        "height": HEIGHT,
        "properties": {
            "title": title,
            "region": region,
            "view": "timeSeries",
            "period": 60,
            "stat": stat,
            "metrics": metrics,
        },
    }


def search(namespace: str, name: str, axis: str = "left") -> list[Any]:
    """Return the series of every run: a run's id is not known when the dashboard is made."""
    expression = f"SEARCH('{{{namespace},Run}} MetricName=\"{name}\"', 'Average', 60)"
    return [{"expression": expression, "yAxis": axis}]


def gpu(namespace: str, name: str, *groups: str) -> list[list[Any]]:
    """Return a GPU metric of each group."""
    return [[namespace, name, "Group", group] for group in groups]
