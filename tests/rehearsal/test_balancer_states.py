"""What HAProxy's statistics say of a target, in AWS's words."""

from __future__ import annotations

import pytest

from infra.rehearsal.balancer import target_states
from infra.rehearsal.balancer.description import Check
from infra.rehearsal.balancer.target_states import Known

CHECK = Check(
    protocol="HTTPS",
    port="traffic-port",
    path="/ready",
    codes="200",
    interval=10,
    timeout=5,
    healthy=2,
    unhealthy=3,
)
NEW, OLD = Known(since=100.0), Known(since=100.0, proven=True)


@pytest.mark.parametrize(
    ("status", "check", "code", "known", "now", "expected"),
    [
        ("DRAIN -1/3", "INI", "", NEW, 101.0, ["initial", "Elb.InitialHealthChecking"]),
        ("DRAIN -1/3", "", "", NEW, 500.0, ["initial", "Elb.InitialHealthChecking"]),
        ("DRAIN 0/3", "L7OK", "200", NEW, 101.0, ["healthy", ""]),
        ("UP", "L7OK", "200", OLD, 500.0, ["healthy", ""]),
        ("UP 2/3", "* L7STS", "503", OLD, 500.0, ["healthy", ""]),
        ("DOWN", "L4CON", "", NEW, 129.0, ["initial", "Elb.InitialHealthChecking"]),
        ("DOWN", "L4CON", "", NEW, 131.0, ["unhealthy", "Target.FailedHealthChecks"]),
        ("DOWN", "L4CON", "", OLD, 101.0, ["unhealthy", "Target.FailedHealthChecks"]),
        ("DOWN 1/2", "L7OK", "200", OLD, 500.0, ["unhealthy", "Target.FailedHealthChecks"]),
        ("DOWN", "L7STS", "503", OLD, 500.0, ["unhealthy", "Target.ResponseCodeMismatch"]),
        ("DOWN", "L4TOUT", "", OLD, 500.0, ["unhealthy", "Target.Timeout"]),
        ("DOWN", "L7TOUT", "", OLD, 500.0, ["unhealthy", "Target.Timeout"]),
    ],
)
def test_states(status: str, check: str, code: str, known: Known, now: float, expected: list[str]) -> None:
    """Initial until the first success, or as many failures as make one unhealthy; then as the checks say."""
    row = {"status": status, "check_status": check, "check_code": code}
    assert target_states.state(row, CHECK, known, now)[:2] == expected


def test_the_code_is_told() -> None:
    """As AWS does, so that one sees what the target said."""
    row = {"status": "DOWN", "check_status": "L7STS", "check_code": "503"}
    told = target_states.state(row, CHECK, OLD, 0.0)
    assert told[2] == "Health checks failed with these codes: [503]"
