"""Lets a group's nodes go before it is deleted, and waits for them: each saves or drains first, as its hook asks."""

from __future__ import annotations

import time

import botocore.exceptions

from infra.rehearsal.provider.target import CallError, Target

PATIENCE = 600.0
"""Seconds, where the program names none: the AWS plugin's own."""
LOOK_EVERY = 0.5
"""Seconds."""


def drain(target: Target) -> None:
    """Set a group to none and return once it has no nodes; a deletion by force waits for nobody.

    Raises:
        CallError: it still has nodes after the program's patience, or the engine was told to stop.
    """
    group = target.inputs["name"]
    try:
        target.call(
            "update_auto_scaling_group", AutoScalingGroupName=group, MinSize=0, MaxSize=0, DesiredCapacity=0
        )
    except botocore.exceptions.ClientError:
        return  # it is gone
    if target.inputs.get("forceDelete"):
        return
    patience = target.patience or PATIENCE
    end = time.monotonic() + patience
    while left := _nodes(target, group):
        if time.monotonic() > end:
            raise CallError(
                target.refusal("delete", TimeoutError(f"after {patience:g} s it still has {left} nodes"))
            )
        if target.clients.stopping.wait(LOOK_EVERY):
            raise CallError(target.refusal("delete", InterruptedError(f"stopped while it has {left} nodes")))


def _nodes(target: Target, group: str) -> int:
    found = target.call("describe_auto_scaling_groups", AutoScalingGroupNames=[group])["AutoScalingGroups"]
    return sum(len(one["Instances"]) for one in found)
