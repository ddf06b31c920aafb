"""From the node's Prometheus page to the few numbers that CloudWatch scales and alarms on. Pure but for the last step.

Counters are read twice: what counts is the queue's time per request *since the last look*, not since the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

LOOK_SECONDS = 10.0
"""Between two readings of the page, on this machine."""
QUEUED, ANSWERED = "ts_queue_latency_microseconds", "ts_inference_requests_total"
"""TorchServe's counters: microseconds that requests waited for a worker, and requests."""
FRONT_QUEUE = "haproxy_backend_queue_time_average_seconds"
"""HAProxy's own queue, mean of the last 1,024 requests."""
REQUESTS = "haproxy_backend_http_requests_total"
"""Requests that the front sent to the model."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one reading of the page says."""

    seconds: float
    """When, on a clock that only goes forward."""
    queued_us: float = 0.0
    """Microseconds of waiting so far."""
    answered: float = 0.0
    """Requests that waited so far."""
    front_queue_seconds: float = 0.0
    """Mean wait in front of them."""
    requests: float = 0.0
    """Requests so far."""
    workers: float = 0.0
    """Workers that are ready."""
    refused: float = 0.0
    """1 while a release is refused."""
    percentage: float = 100.0
    """Of the rollout that is open; 100 for none."""


def read_page(page: str, seconds: float) -> Look:
    """Return what a Prometheus page says; what is not there is 0."""
    totals: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.labels.get("proxy", "torchserve") == "torchserve":
                totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
    return Look(
        seconds=seconds,
        queued_us=totals.get(QUEUED, totals.get(f"{QUEUED}_total", 0.0)),
        answered=totals.get(ANSWERED, 0.0),
        front_queue_seconds=totals.get(FRONT_QUEUE, 0.0),
        requests=totals.get(REQUESTS, 0.0),
        workers=totals.get("skylift_workers", 0.0),
        refused=float("skylift_refused_info" in totals),
        percentage=totals.get("skylift_rollout_percentage", 100.0),
    )


def queue_ms(before: Look, now: Look) -> float:
    """Return how long requests waited on average between two looks, in milliseconds; 0 without requests."""
    answered = _since(before.answered, now.answered)
    if answered <= 0:
        return 0.0
    inside = _since(before.queued_us, now.queued_us) / answered / 1000
    return inside + now.front_queue_seconds * 1000


def metric_data(before: Look, now: Look, group: str) -> list[dict[str, Any]]:
    """Return CloudWatch's `MetricData` of a node: of its group only, so that averages are the group's."""
    elapsed = now.seconds - before.seconds
    rate = _since(before.requests, now.requests) / elapsed if elapsed > 0 else 0.0
    dimensions = [{"Name": "Group", "Value": group}]
    numbers = (
        ("QueueMilliseconds", queue_ms(before, now), "Milliseconds"),
        ("RequestsPerSecond", rate, "Count/Second"),
        ("WorkersReady", now.workers, "Count"),
        ("Refused", now.refused, "Count"),
    )
    return [
        {"MetricName": name, "Value": value, "Unit": unit, "Dimensions": dimensions}
        for name, value, unit in numbers
    ]


def _since(before: float, now: float) -> float:
    """Return the growth of a counter; a process that was started again counts from nothing."""
    return now - before if now >= before else now
