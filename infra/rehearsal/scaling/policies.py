"""Scaling policies that an alarm sets off: so many nodes, so many more, so many percent more."""

from __future__ import annotations

from moto.autoscaling.models import FakeAutoScalingGroup, FakeScalingPolicy, autoscaling_backends

from infra.rehearsal.scaling.book import record_of
from infra.rehearsal.scaling.desk import Desk
from infra.rehearsal.scaling.nodes import suspended


def run(arn: str, cause: str, desk: Desk) -> None:
    """Do what a policy says, unless it did a short while ago.

    Args:
        arn: the policy's.
        cause: who asks for it, as the diary says it.
        desk: the emulator's.
    """
    _, _, _, region, account, _ = arn.split(":", 5)
    backend = autoscaling_backends[account][region]
    policy = next((one for one in backend.policies.values() if one.arn == arn), None)
    group = backend.autoscaling_groups.get(policy.auto_scaling_group_name) if policy else None
    if policy is None or group is None or suspended(group, "AlarmNotification"):
        return
    record = record_of(group)
    cooldown = float(group.default_cooldown if policy.cooldown is None else policy.cooldown)
    if policy.name in record.scaled and desk.clock.passed(record.scaled[policy.name]) < cooldown:
        return
    record.scaled[policy.name] = desk.now()
    resize(group, wanted(policy, group), f"{cause} ran policy {policy.name}", desk)


def wanted(policy: FakeScalingPolicy, group: FakeAutoScalingGroup) -> int:
    """Return the size that a policy asks for, before the group's bounds."""
    size, by = group.desired_capacity or 0, int(policy.scaling_adjustment or 0)
    if policy.adjustment_type == "ExactCapacity":
        return by
    if policy.adjustment_type == "PercentChangeInCapacity":
        change = size * by / 100  # a part of a node is one node; more are rounded towards none
        by = (1 if by > 0 else -1) if 0 < abs(change) < 1 else int(change)
    return size + by


def resize(group: FakeAutoScalingGroup, size: int, cause: str, desk: Desk) -> None:
    """Set a group's size within its bounds, and say why where it changes."""
    within = max(group.min_size or 0, min(size, group.max_size if group.max_size is not None else size))
    if within == group.desired_capacity:
        return
    desk.tell("resized", f"{group.name}: {cause}", group=group.name, nodes=within, cause=cause)
    group.set_desired_capacity(within)
