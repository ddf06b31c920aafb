"""The state of a target in AWS's words, from what HAProxy's statistics say of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infra.rehearsal.balancer.description import Check

HEALTHY = ["healthy", "", ""]
CHECKING = ["initial", "Elb.InitialHealthChecking", "Initial health checks in progress"]
TIMED_OUT = ["unhealthy", "Target.Timeout", "Request timed out"]
FAILED = ["unhealthy", "Target.FailedHealthChecks", "Health checks failed"]
TIMEOUTS = ("L4TOUT", "L6TOUT", "L7TOUT")
"""HAProxy's names of checks that nobody answered in time, by layer."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is remembered of a target."""

    since: float
    """When it was registered, in seconds of the monotonic clock."""
    proven: bool = False
    """It has been healthy once."""


def is_checked(row: Mapping[str, str]) -> bool:
    """Return whether its first check is over.

    Args:
        row: HAProxy's statistics of a target with checks.
    """
    return row["check_status"].strip("* ") not in ("", "INI")


def is_well(row: Mapping[str, str]) -> bool:
    """Return whether requests may go to it as far as its checks are concerned."""
    return is_checked(row) and not row["status"].startswith("DOWN")


def state(row: Mapping[str, str], check: Check, known: Known, now: float) -> list[str]:
    """Return state, reason and description.

    Args:
        row: HAProxy's statistics of a target with checks.
        check: how it is checked.
        known: what is remembered of it.
        now: in seconds of the monotonic clock.
    """
    if is_well(row):
        return HEALTHY
    if not is_checked(row) or (not known.proven and now - known.since < check.unhealthy * check.interval):
        return CHECKING
    kind = row["check_status"].strip("* ")
    if kind == "L7STS":
        return [
            "unhealthy",
            "Target.ResponseCodeMismatch",
            f"Health checks failed with these codes: [{row['check_code']}]",
        ]
    return TIMED_OUT if kind in TIMEOUTS else FAILED
