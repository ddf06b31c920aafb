"""What somebody changes by hand is found by a refresh, named, and repaired by the next `up`."""

from __future__ import annotations

from infra.rehearsal.stack import Deployment
from tests.engine.accident import DRIFTS
from tests.engine.cloud import Cloud


def test_drift_is_found_and_repaired(cloud: Cloud, dev: Deployment) -> None:
    """Eight kinds at once: each is found under the resource that differs, nothing else is, and `up` mends them all."""
    for drift in DRIFTS:
        drift.make(cloud.client, dev.physical)
    expected: dict[str, set[str]] = {}
    for drift in DRIFTS:
        expected.setdefault(drift.repair, set()).add(drift.resource)
    assert dev.preview(refresh=True).changes() == expected
    assert dev.up(refresh=True).changes() == expected
    assert dev.preview(refresh=True).changes() == {}


def test_a_finished_run_is_no_drift(cloud: Cloud, dev: Deployment) -> None:
    """The last node of a training sets its own group to zero and raises serving: `up` leaves both as they are."""
    groups = cloud.client("autoscaling")
    train, serve = dev.physical("train-group"), dev.physical("serve-group")
    groups.update_auto_scaling_group(AutoScalingGroupName=train, MinSize=0, DesiredCapacity=0)
    groups.update_auto_scaling_group(AutoScalingGroupName=serve, MinSize=1, DesiredCapacity=1)
    dev.refresh()
    assert dev.up().changes() == {}
    found = groups.describe_auto_scaling_groups(AutoScalingGroupNames=[train, serve])["AutoScalingGroups"]
    sizes = {one["AutoScalingGroupName"]: (one["MinSize"], one["DesiredCapacity"]) for one in found}
    assert sizes == {train: (0, 0), serve: (1, 1)}
