"""Taking groups from moto, which launches and terminates within a call: with the loop, a call only says the wish."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, TerminateInstanceActivity
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from infra.rehearsal.scaling import hooks, targets
from infra.rehearsal.scaling.book import record_of, source_of
from infra.rehearsal.scaling.calls import group_of
from infra.rehearsal.scaling.desk import DESK
from infra.rehearsal.scaling.nodes import IN_SERVICE, LIVING, WAITING, Node, nodes_of

_SETTINGS = {
    "TerminationPolicies": "termination_policies",
    "DefaultCooldown": "default_cooldown",
    "CapacityRebalance": "capacity_rebalance",
}
"""Members of UpdateAutoScalingGroup that moto leaves out -> its own names."""
_MOTOS: dict[str, Callable[..., Any]] = {}
"""What was taken from moto and is still of use, with our patches on it, by name."""


def _set_desired_capacity(self: FakeAutoScalingGroup, new_capacity: int | None) -> None:
    """Keep the size that is wished for; the loop makes it true."""
    before = getattr(self, "desired_capacity", None)
    self.desired_capacity = self.min_size if new_capacity is None else new_capacity
    if self.desired_capacity != before:
        DESK.tell(
            "resized",
            f"{self.name} shall have {self.desired_capacity} nodes",
            group=self.name,
            nodes=self.desired_capacity,
        )
    DESK.bell.set()


def _group_update(self: FakeAutoScalingGroup, *arguments: Any, **more: Any) -> None:  # noqa: ANN401 - moto's
    """Change a group; the size follows new bounds, and what it launched from until now is remembered."""
    with DESK.lock:
        before = source_of(self)
        wished = more.get("desired_capacity")
        least, most = more.get("min_size"), more.get("max_size")
        least, most = self.min_size if least is None else least, self.max_size if most is None else most
        size = (self.desired_capacity or 0) if wished is None else wished
        within = max(least or 0, min(size, size if most is None else most))
        if wished is not None and within != wished:
            raise ValidationError(
                f"Desired capacity:{wished} must be between the specified min size:{least} and max size:{most}"
            )
        _MOTOS["update"](self, *arguments, **{**more, "desired_capacity": within})
        if source_of(self) != before:
            record_of(self).before = before


def _backend_set_desired_capacity(
    self: AutoScalingBackend, group_name: str, desired_capacity: int | None
) -> None:
    """Refuse a size outside of the group's bounds, as AWS does."""
    with DESK.lock:
        group = self.autoscaling_groups.get(group_name)
        if group is None:
            raise ValidationError(
                f"AutoScalingGroup name not found - AutoScalingGroup '{group_name}' not found"
            )
        for bound, over in ((group.max_size, 1), (group.min_size, -1)):
            if desired_capacity is not None and bound is not None and (desired_capacity - bound) * over > 0:
                side = "above max" if over > 0 else "below min"
                raise ValidationError(
                    f"New SetDesiredCapacity value {desired_capacity} is {side} value {bound} for the "
                    "AutoScalingGroup."
                )
        group.set_desired_capacity(desired_capacity)


def _create_auto_scaling_group(self: AutoScalingResponse) -> ActionResult:
    """Make a group with the hooks and the warm-up that moto leaves out."""
    with DESK.lock:
        if self._get_param("AutoScalingGroupName") in self.autoscaling_backend.autoscaling_groups:
            raise AutoscalingClientError("AlreadyExists", "AutoScalingGroup by this name already exists")
        answer: ActionResult = _MOTOS["create_auto_scaling_group"](self)
        group = group_of(self)
        for one in self._get_param("LifecycleHookSpecificationList") or []:
            self.autoscaling_backend.create_lifecycle_hook(
                name=one["LifecycleHookName"],
                as_name=group.name,
                transition=one["LifecycleTransition"],
                timeout=one.get("HeartbeatTimeout"),
                result=one.get("DefaultResult") or "ABANDON",
            )
        record_of(group).warmup = self._get_param("DefaultInstanceWarmup")
    DESK.bell.set()
    return answer


def _update_auto_scaling_group(self: AutoScalingResponse) -> ActionResult:
    """Change a group, those settings too that moto leaves out."""
    with DESK.lock:
        answer: ActionResult = _MOTOS["update_auto_scaling_group"](self)
        group = group_of(self)
        for member, name in _SETTINGS.items():
            if (given := self._get_param(member)) is not None:
                setattr(group, name, given)
        if (warmup := self._get_param("DefaultInstanceWarmup")) is not None:
            record_of(group).warmup = warmup
    return answer


def _delete_auto_scaling_group(self: AutoScalingResponse) -> ActionResult:
    """Delete a group: by force, its nodes go at once and no hook waits for them; else it must have none."""
    with DESK.lock:
        group = group_of(self)
        there = nodes_of(group)
        if there and not self._get_bool_param("ForceDelete", False):
            raise AutoscalingClientError(
                "ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances in it"
            )
        for node in there:
            hooks.end(node, DESK, "its group was deleted")
        self.autoscaling_backend.autoscaling_groups.pop(group.name)
        for hook in self.autoscaling_backend.describe_lifecycle_hooks(group.name):
            self.autoscaling_backend.delete_lifecycle_hook(group.name, hook.name)
        for name, policy in list(self.autoscaling_backend.policies.items()):
            if policy.auto_scaling_group_name == group.name:
                self.autoscaling_backend.policies.pop(name)
    return EmptyResult()


def _delete_lifecycle_hook(self: AutoScalingResponse) -> ActionResult:
    """Delete a hook; nodes that it holds back go on."""
    with DESK.lock:
        group, name = group_of(self), self._get_param("LifecycleHookName")
        for node in nodes_of(group, WAITING):
            if node.action and node.action.hook == name:
                hooks.complete(node)
        self.autoscaling_backend.delete_lifecycle_hook(group.name, name)
    DESK.bell.set()
    return EmptyResult()


def _set_instance_health(self: AutoScalingResponse) -> ActionResult:
    """Keep what somebody found out about a node; within its grace period only where they say so."""
    with DESK.lock:
        node = _node(self)
        health = self._get_param("HealthStatus")
        if health not in ("Healthy", "Unhealthy"):
            raise ValidationError(f"Valid instance health states are: [Healthy, Unhealthy], got {health}")
        grace = float(node.auto_scaling_group.health_check_grace_period or 0)
        young = node.serving_since is None or DESK.clock.passed(node.serving_since) < grace
        if not (young and self._get_bool_param("ShouldRespectGracePeriod", True)):
            node.health_status = health
    DESK.bell.set()
    return EmptyResult()


def _terminate_instance(self: AutoScalingResponse) -> ActionResult:
    """Let one node go, and the size with it where that is asked for."""
    with DESK.lock:
        node = _node(self)
        group = node.auto_scaling_group
        size = group.desired_capacity or 0
        if self._get_bool_param("ShouldDecrementDesiredCapacity", False):
            self.autoscaling_backend.set_desired_capacity(group.name, size - 1)
        if node.lifecycle_state in LIVING:
            hooks.begin(node, "somebody asked for it", DESK)
        activity = TerminateInstanceActivity(node.instance, size)
    DESK.bell.set()
    return ActionResult({"Activity": activity})


def _node(response: AutoScalingResponse) -> Node:
    wanted = response._get_param("InstanceId")
    for group in response.autoscaling_backend.autoscaling_groups.values():
        for node in nodes_of(group):
            if node.instance_id == wanted:
                return node
    raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {wanted}")


def _attach_target_groups(self: AutoScalingBackend, group_name: str, target_group_arns: list[str]) -> None:
    """Put the nodes in service into target groups that are new to a group."""
    with DESK.lock:
        group = self.autoscaling_groups[group_name]
        new = [one for one in target_group_arns if one not in group.target_group_arns]
        group.append_target_groups(target_group_arns)
        for node in nodes_of(group, IN_SERVICE):
            targets.enter(node, new)


def _nothing(*_: object, **__: object) -> None:
    """Do nothing: the loop does it."""
    DESK.bell.set()


_TAKEN: tuple[tuple[type, str, Callable[..., Any]], ...] = (
    (FakeAutoScalingGroup, "set_desired_capacity", _set_desired_capacity),
    (FakeAutoScalingGroup, "replace_autoscaling_group_instances", _nothing),
    (FakeAutoScalingGroup, "update", _group_update),
    (AutoScalingBackend, "set_desired_capacity", _backend_set_desired_capacity),
    (AutoScalingBackend, "notify_terminate_instances", _nothing),
    (AutoScalingBackend, "update_attached_target_groups", _nothing),
    (AutoScalingBackend, "attach_load_balancer_target_groups", _attach_target_groups),
    (AutoScalingResponse, "create_auto_scaling_group", _create_auto_scaling_group),
    (AutoScalingResponse, "update_auto_scaling_group", _update_auto_scaling_group),
    (AutoScalingResponse, "delete_auto_scaling_group", _delete_auto_scaling_group),
    (AutoScalingResponse, "delete_lifecycle_hook", _delete_lifecycle_hook),
    (AutoScalingResponse, "set_instance_health", _set_instance_health),
    (AutoScalingResponse, "terminate_instance_in_auto_scaling_group", _terminate_instance),
)


def take_over() -> list[tuple[type, str, Callable[..., Any]]]:
    """Let the loop have the groups, and return what was moto's."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in _TAKEN]
    _MOTOS.update({name: theirs for _, name, theirs in before})
    for owner, name, ours in _TAKEN:
        setattr(owner, name, ours)
    return before


@contextmanager
def taken_over() -> Iterator[None]:
    """Let the loop have the groups; moto has them again afterwards."""
    before = take_over()
    try:
        yield
    finally:
        for owner, name, theirs in before:
            setattr(owner, name, theirs)
