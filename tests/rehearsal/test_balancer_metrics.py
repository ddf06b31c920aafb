"""What is counted of requests, and how CloudWatch is told of it."""

from __future__ import annotations

from infra.rehearsal.balancer import balancer_metrics
from infra.rehearsal.balancer.balancer_metrics import Answered, Metrics, data, hosts, read

FRONT = {"LoadBalancer": "app/front/1"}
OF = [{"Name": "LoadBalancer", "Value": "app/front/1"}]
LINES = """request 200 1 12 nodes i-1 -
request 200 1 12 nodes i-2 -
request 503 1 3 nodes-open i-2 -
request 502 - -1 nodes i-1 -
request 503 - -1 nobody <NOSRV> -
request 401 - -1 port-443 <NOSRV> 1
request -1 - -1 nodes i-1 -
[NOTICE] haproxy says something
"""


def counted() -> Metrics:
    """Return the counts of a few requests."""
    metrics = Metrics()
    for line in LINES.splitlines():
        answered = read(line)
        if answered:
            metrics.add(answered)
    return metrics


def test_a_line() -> None:
    """Each says who answered what, how fast, and whether the token's key is unknown; others are no requests."""
    assert read("request 401 - -1 port-443 <NOSRV> 1") == Answered(
        status=401, by_target=False, milliseconds=-1, backend="port-443", server="", stranger=True
    )
    assert read("[WARNING] (1) : Server nodes/i-1 is DOWN") is None


def test_sums_are_those_of_aws() -> None:
    """RequestCount leaves out those that no target was chosen for; who answered 5xx is told apart."""
    front, groups = counted().take()
    assert front.sums == {
        "RequestCount": 5,
        "HTTPCode_Target_2XX_Count": 2,
        "HTTPCode_Target_5XX_Count": 1,
        "HTTPCode_ELB_5XX_Count": 2,
        "HTTPCode_ELB_4XX_Count": 1,
    }
    assert groups["nodes"].sums["HTTPCode_Target_5XX_Count"] == 1
    assert list(groups) == ["nodes"]


def test_each_request_is_told_once() -> None:
    """Taken is taken; what is shown to people goes on from the start."""
    metrics = counted()
    metrics.take()
    assert metrics.take()[0].sums == {}
    assert metrics.ever() == {"requests": 7, "failed": 4, "by i-1": 3, "by i-2": 2, "by ": 2}
    assert metrics.median() == 12


def test_data_for_cloudwatch() -> None:
    """Counts of nothing are left out; response times are values in seconds, so that p99 is one of them."""
    front, _ = counted().take()
    made = data(front, FRONT)
    assert made[0] == {
        "MetricName": "HTTPCode_ELB_4XX_Count",
        "Dimensions": OF,
        "Value": 1.0,
        "Unit": "Count",
    }
    assert made[-1] == {
        "MetricName": "TargetResponseTime",
        "Dimensions": OF,
        "Values": [0.003, 0.012],
        "Counts": [1.0, 2.0],
        "Unit": "Seconds",
    }
    assert data(balancer_metrics.Counts(), FRONT) == []


def test_many_response_times() -> None:
    """CloudWatch takes 150 values at once."""
    metrics = Metrics()
    for one in range(400):
        metrics.add(
            Answered(
                status=200, by_target=True, milliseconds=one, backend="nodes", server="i-1", stranger=False
            )
        )
    parts = [one["Values"] for one in data(metrics.take()[0], FRONT) if "Values" in one]
    assert [len(part) for part in parts] == [150, 150, 100]


def test_hosts() -> None:
    """Those that are checked for the first time, or drain, are neither."""
    made = hosts({"i-1": "healthy", "i-2": "initial", "i-3": "unhealthy", "i-4": "draining"}, FRONT)
    assert {one["MetricName"]: one["Value"] for one in made} == {
        "HealthyHostCount": 1,
        "UnHealthyHostCount": 1,
    }
