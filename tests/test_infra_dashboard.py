"""The dashboard, whole."""

from __future__ import annotations

from typing import Any

from infra.dashboard import dashboard

ELB = "AWS/ApplicationELB"
FRONT = ["LoadBalancer", "app/edge/1"]
NODES = ["TargetGroup", "targetgroup/edge/2", *FRONT]


def graph(x: int, y: int, title: str, metrics: list[list[Any]], stat: str = "Average") -> dict[str, Any]:
    return {
        "type": "metric",
        "x": x,
        "y": y,
        "width": 12,
        "height": 6,
        "properties": {
            "title": title,
            "region": "eu-central-1",
            "view": "timeSeries",
            "period": 60,
            "stat": stat,
            "metrics": metrics,
        },
    }


def runs(name: str, axis: str = "left") -> list[Any]:
    expression = f"SEARCH('{{Skylift/dev,Run}} MetricName=\"{name}\"', 'Average', 60)"
    return [{"expression": expression, "yAxis": axis}]


def both(name: str) -> list[list[Any]]:
    return [["Skylift/dev", name, "Group", group] for group in ("serving", "training")]


def test_the_dashboard_whole() -> None:
    made = dashboard("Skylift/dev", "eu-central-1", "training", "serving", "app/edge/1", "targetgroup/edge/2")
    assert made == {
        "widgets": [
            graph(
                0,
                0,
                "Requests and errors a minute",
                [
                    [ELB, "RequestCount", *FRONT],
                    [ELB, "HTTPCode_Target_5XX_Count", *FRONT],
                    [ELB, "HTTPCode_ELB_5XX_Count", *FRONT],
                ],
                stat="Sum",
            ),
            graph(
                12,
                0,
                "Seconds to an answer",
                [
                    [ELB, "TargetResponseTime", *FRONT, {"stat": "p50"}],
                    [ELB, "TargetResponseTime", *FRONT, {"stat": "p99"}],
                ],
            ),
            graph(
                0,
                6,
                "Serving nodes and workers",
                [
                    [ELB, "HealthyHostCount", *NODES],
                    [ELB, "UnHealthyHostCount", *NODES],
                    ["Skylift/dev", "WorkersReady", "Group", "serving", {"stat": "Sum"}],
                ],
            ),
            graph(
                12,
                6,
                "Milliseconds in the queue, releases refused",
                [
                    ["Skylift/dev", "QueueMilliseconds", "Group", "serving"],
                    ["Skylift/dev", "Refused", "Group", "serving", {"stat": "Maximum", "yAxis": "right"}],
                ],
            ),
            graph(0, 12, "Loss, by run", [runs("Loss")]),
            graph(
                12,
                12,
                "Steps a second and goodput, by run",
                [runs("StepsPerSecond"), runs("Goodput", axis="right")],
            ),
            graph(0, 18, "GPUs at work, %", both("nvidia_smi_utilization_gpu")),
            graph(12, 18, "GPU memory, MiB", both("nvidia_smi_memory_used")),
        ]
    }
