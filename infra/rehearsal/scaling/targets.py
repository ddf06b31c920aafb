"""The target groups of a group: nodes in service are in them, all others are not."""

from __future__ import annotations

from collections.abc import Sequence

from moto.autoscaling.models import FakeAutoScalingGroup
from moto.elbv2.models import FakeTargetGroup

from infra.rehearsal.scaling.nodes import IN_SERVICE, Node, nodes_of, suspended


def target_groups(group: FakeAutoScalingGroup) -> list[FakeTargetGroup]:
    """Return a group's target groups; one that was deleted before it is left out."""
    found = group.autoscaling_backend.elbv2_backend.target_groups
    return [found[arn] for arn in list(group.target_group_arns or []) if arn in found]


def leave(node: Node) -> None:
    """Take a node out of its group's target groups: no new requests come."""
    for target_group in target_groups(node.auto_scaling_group):
        if node.instance_id in target_group.targets:
            target_group.deregister([{"Id": node.instance_id}])


def enter(node: Node, arns: Sequence[str] | None = None) -> None:
    """Put a node that has just come into service into its group's target groups.

    Once only: a node that takes itself out, to drain, must not be put in again.

    Args:
        node: in service.
        arns: some of the target groups alone; None: all.
    """
    group = node.auto_scaling_group
    if suspended(group, "AddToLoadBalancer"):
        return
    for target_group in target_groups(group):
        if arns is not None and target_group.arn not in arns:
            continue
        target_group.register([{"Id": node.instance_id, "Port": target_group.port}])


def tidy(group: FakeAutoScalingGroup) -> None:
    """Take out the targets that are instances no longer."""
    for target_group in target_groups(group):
        ids = [one for one in list(target_group.targets) if one.startswith("i-")]
        if not ids:
            continue
        serving = {one.instance_id for one in nodes_of(group, IN_SERVICE)}
        dead = [one for one in ids if one not in serving and not _runs(group, one)]
        target_group.deregister_terminated_instances(dead)


def _runs(group: FakeAutoScalingGroup, instance: str) -> bool:
    found = group.autoscaling_backend.ec2_backend.get_instance_by_id(instance)
    return found is not None and found.state == "running"
