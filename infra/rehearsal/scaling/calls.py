"""Calls of Auto Scaling that moto has not: lifecycle actions, instance refreshes."""

from __future__ import annotations

from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from infra.rehearsal.scaling import hooks, refresh
from infra.rehearsal.scaling.book import Source, record_of
from infra.rehearsal.scaling.desk import DESK


def group_of(response: AutoScalingResponse) -> FakeAutoScalingGroup:
    """Return the group that a call is about."""
    name = response._get_param("AutoScalingGroupName")
    found = response.autoscaling_backend.autoscaling_groups.get(name)
    if found is None:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return found


def _waits(response: AutoScalingResponse) -> list[Any]:
    group, hook = group_of(response), response._get_param("LifecycleHookName")
    instance, token = (
        response._get_param("InstanceId") or "",
        response._get_param("LifecycleActionToken") or "",
    )
    found = hooks.waits_for(group, hook, instance=instance, token=token)
    if not found:
        named = f"instance ID {instance}" if instance else f"token {token}"
        raise ValidationError(f"No active Lifecycle Action found with {named}")
    return found


def complete_lifecycle_action(self: AutoScalingResponse) -> ActionResult:
    """Let a node that waits go on."""
    with DESK.lock:
        for node, _ in _waits(self):
            hooks.complete(node)
    DESK.bell.set()
    return EmptyResult()


def record_lifecycle_action_heartbeat(self: AutoScalingResponse) -> ActionResult:
    """Let a node wait longer."""
    with DESK.lock:
        for _, action in _waits(self):
            hooks.beat(action, DESK.now())
    return EmptyResult()


def start_instance_refresh(self: AutoScalingResponse) -> ActionResult:
    """Begin to replace the nodes that are not as they shall be."""
    with DESK.lock:
        group = group_of(self)
        if refresh.active(record_of(group)):
            raise AutoscalingClientError(
                "InstanceRefreshInProgress",
                "An Instance Refresh is already in progress and blocks the execution",
            )
        preferences, desired = (
            self._get_param("Preferences") or {},
            self._get_param("DesiredConfiguration") or {},
        )
        if preferences.get("AutoRollback") and not desired:
            raise ValidationError(
                "The AutoRollback parameter cannot be set to true when the DesiredConfiguration parameter is empty"
            )
        begun = refresh.begin(
            group,
            preferences,
            Source(template=desired.get("LaunchTemplate"), policy=desired.get("MixedInstancesPolicy")),
            DESK.now(),
        )
    DESK.bell.set()
    return ActionResult({"InstanceRefreshId": begun.id})


def describe_instance_refreshes(self: AutoScalingResponse) -> ActionResult:
    """Show a group's refreshes, the newest first."""
    with DESK.lock:
        group = group_of(self)
        ids = self._get_param("InstanceRefreshIds") or []
        found = [one for one in reversed(record_of(group).refreshes) if not ids or one.id in ids]
        return ActionResult({"InstanceRefreshes": [refresh.described(group, one) for one in found]})


def cancel_instance_refresh(self: AutoScalingResponse) -> ActionResult:
    """Stop a refresh where it is."""
    with DESK.lock:
        running = _running(self)
        refresh.cancel(group_of(self), running, DESK.now())
    DESK.bell.set()
    return ActionResult({"InstanceRefreshId": running.id})


def rollback_instance_refresh(self: AutoScalingResponse) -> ActionResult:
    """Bring the nodes back that a refresh has replaced."""
    with DESK.lock:
        running = _running(self)
        refresh.roll_back(group_of(self), running, "Somebody asked for it.")
    DESK.bell.set()
    return ActionResult({"InstanceRefreshId": running.id})


def _running(response: AutoScalingResponse) -> Any:  # noqa: ANN401 - a Refresh
    found = refresh.active(record_of(group_of(response)))
    if found is None:
        raise AutoscalingClientError(
            "ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for the group"
        )
    return found


ADDED = (
    complete_lifecycle_action,
    record_lifecycle_action_heartbeat,
    start_instance_refresh,
    describe_instance_refreshes,
    cancel_instance_refresh,
    rollback_instance_refresh,
)


def add() -> None:
    """Let moto answer these calls; without the loop, a refresh stays Pending and no node ever waits."""
    for call in ADDED:
        setattr(AutoScalingResponse, call.__name__, call)
