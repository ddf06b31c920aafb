"""What an application load balancer tells CloudWatch: counted from one line of HAProxy's log a request."""

from __future__ import annotations

import statistics
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.rehearsal.balancer.haproxy_config import OPEN

NAMESPACE = "AWS/ApplicationELB"
LAST = 1000
"""Response times that the median is of."""
MOST_VALUES = 150
"""Of different ones in one datum of PutMetricData."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One request that is over."""

    status: int
    """HTTP status that the client got; -1: it got none."""
    by_target: bool
    """Whether a target answered; else the balancer itself did."""
    milliseconds: int
    """From the last byte of the request's head to the first of the target's answer; -1: there was none."""
    backend: str
    """Which backend it went to."""
    server: str
    """Which target; empty: none was chosen."""
    stranger: bool
    """Its token names a key that is not known."""


def read(line: str) -> Answered | None:
    """Return what a line of HAProxy's log says; None: it is not about a request.

    Args:
        line: as `haproxy_config.REQUEST_LOG` has it.
    """
    words = line.split()
    if len(words) != 7 or words[0] != "request":
        return None
    _, status, answered, milliseconds, backend, server, stranger = words
    return Answered(
        status=int(status),
        by_target=answered == "1",
        milliseconds=int(milliseconds),
        backend=backend,
        server="" if server == "<NOSRV>" else server,
        stranger=stranger == "1",
    )


@dataclass
class Counts:
    """What happened between two reports, for the balancer or one of its target groups."""

    sums: Counter[str] = field(default_factory=Counter)
    """Name of a metric -> how often."""
    milliseconds: Counter[int] = field(default_factory=Counter)
    """Response time -> how often."""

    def add(self, one: Answered) -> None:
        """Count a request as AWS does: one that no target was chosen for is none of `RequestCount`."""
        self.sums["RequestCount"] += bool(one.server)
        if one.status >= 200:
            whose = "Target" if one.by_target else "ELB"
            self.sums[f"HTTPCode_{whose}_{one.status // 100}XX_Count"] += 1
        if one.by_target and one.milliseconds >= 0:
            self.milliseconds[one.milliseconds] += 1


class Metrics:
    """Counts requests; any number of threads may."""

    def __init__(self) -> None:
        """Count from zero."""
        self._lock = threading.Lock()
        self._front, self._groups = Counts(), dict[str, Counts]()
        self._ever: Counter[str] = Counter()
        self._last: deque[int] = deque(maxlen=LAST)

    def add(self, one: Answered) -> None:
        """Count a request."""
        with self._lock:
            self._front.add(one)
            self._ever["requests"] += 1
            self._ever["failed"] += one.status >= 500 or one.status < 0
            self._ever[f"by {one.server}"] += 1
            if one.by_target:
                self._last.append(one.milliseconds)
            if one.server:
                self._groups.setdefault(one.backend.removesuffix(OPEN), Counts()).add(one)

    def ever(self) -> Counter[str]:
        """Return requests, failed ones (5xx or no answer), and those by each target (`by i-…`), since the start."""
        with self._lock:
            return Counter(self._ever)

    def median(self) -> float:
        """Return the median of the last response times in milliseconds; 0 where there are none."""
        with self._lock:
            return statistics.median(self._last) if self._last else 0.0

    def take(self) -> tuple[Counts, dict[str, Counts]]:
        """Return what was counted since the last time: of the balancer, and of groups by name."""
        with self._lock:
            taken = self._front, self._groups
            self._front, self._groups = Counts(), {}
            return taken


def data(counts: Counts, dimensions: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the data of a report for PutMetricData. As in AWS, a count of nothing is not reported.

    Args:
        counts: what happened.
        dimensions: of whom.
    """
    of = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    made: list[dict[str, Any]] = [
        {"MetricName": name, "Dimensions": of, "Value": float(value), "Unit": "Count"}
        for name, value in sorted(counts.sums.items())
        if value
    ]
    times = sorted(counts.milliseconds.items())
    for at in range(0, len(times), MOST_VALUES):
        part = times[at : at + MOST_VALUES]
        made.append(
            {
                "MetricName": "TargetResponseTime",
                "Dimensions": of,
                "Values": [milliseconds / 1000 for milliseconds, _ in part],
                "Counts": [float(count) for _, count in part],
                "Unit": "Seconds",
            }
        )
    return made


def hosts(states: Mapping[str, str], dimensions: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the data of how many targets of a group are healthy and how many are not.

    Args:
        states: of its targets; those that are checked for the first time, or drain, are neither.
        dimensions: of the group.
    """
    of = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    found = Counter(states.values())
    return [
        {"MetricName": name, "Dimensions": of, "Value": float(found[state]), "Unit": "Count"}
        for name, state in (("HealthyHostCount", "healthy"), ("UnHealthyHostCount", "unhealthy"))
    ]
