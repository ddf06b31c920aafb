"""A changed setting previews exactly what it says, and nothing else: no surprise in a deployment that runs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from infra.rehearsal.stack import Deployment

TRAIN = {
    "access-train-policy",
    "dead-man-stalled",
    "monitoring-dashboard",
    "monitoring-train-gpu-temperature",
}
"""What names the training group, and so the run."""
FIREWALL = {
    *("load-balancer-waf", "load-balancer-waf-association", "load-balancer-waf-log"),
    *("load-balancer-waf-log-delivery", "load-balancer-waf-logging"),
}
CHANGES: list[tuple[dict[str, object], dict[str, set[str]]]] = [
    ({"serveMaxNodes": 3}, {"update": {"serve-group"}}),
    ({"trainVolumeGb": 300}, {"update": {"train-template", "train-group"}}),
    (
        {"settings": ["train.epochs=3"]},
        {"update": {*TRAIN, "train-template"}, "replace": {"dead-man-to-zero", "train-group"}},
    ),
    (
        {"nat": "per-zone"},
        {"create": {"network-nat-1", "network-nat-1-address"}, "update": {"network-private-1-out"}},
    ),
    ({"waf": True}, {"create": FIREWALL}),
    (
        {"logRetentionDays": 731},
        {"update": {"monitoring-serve-log", "monitoring-train-log", "network-flow-log"}},
    ),
    ({"monthlyBudgetUsd": 200}, {"update": {"budget-month"}}),
    ({"alarmEmail": "me@example.org"}, {"create": {"monitoring-email"}, "update": {"budget-month"}}),
    ({"dashboard": False}, {"delete": {"monitoring-dashboard"}}),
    ({"queueTargetMs": 80}, {"update": {"serve-queue"}}),
    ({"checkpointDays": 30}, {"update": {"storage-work-lifecycle"}}),
    (
        {"drainSeconds": 90},
        {"update": {"load-balancer-nodes", "serve-drain", "serve-template", "serve-group"}},
    ),
]
"""Settings of `dev` -> the logical names that change, by what becomes of them."""


@pytest.mark.parametrize(("settings", "expected"), CHANGES, ids=[next(iter(one)) for one, _ in CHANGES])
def test_a_changed_setting(
    dev: Deployment, settings: Mapping[str, object], expected: dict[str, set[str]]
) -> None:
    """Creates, updates, replaces and deletes are these."""
    assert dev.preview({f"skylift:{name}": value for name, value in settings.items()}).changes() == expected
