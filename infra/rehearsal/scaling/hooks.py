"""The way out of a group: out of the balancer, a wait where a hook asks for one, then EC2 terminates."""

from __future__ import annotations

import uuid

from moto.autoscaling.models import FakeAutoScalingGroup, LifecycleHook

from infra.rehearsal.scaling import targets
from infra.rehearsal.scaling.desk import Desk
from infra.rehearsal.scaling.nodes import LEAVING, PROCEEDING, WAITING, Action, Node, nodes_of

TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"


def hook_of(group: FakeAutoScalingGroup) -> LifecycleHook | None:
    """Return the hook that holds back nodes that terminate; of several, the first: our groups have one."""
    for hook in group.autoscaling_backend.describe_lifecycle_hooks(group.name):
        if hook.lifecycle_transition == TERMINATING:
            return hook
    return None


def begin(node: Node, cause: str, desk: Desk) -> None:
    """Let a node go: it counts no more, gets no more requests, and waits where a hook asks for it.

    Args:
        node: one that does not go yet.
        cause: why, as the diary says it.
        desk: the emulator's.
    """
    group, now = node.auto_scaling_group, desk.now()
    targets.leave(node)
    hook = hook_of(group)
    node.lifecycle_state = WAITING if hook else PROCEEDING
    if hook:
        node.action = Action(
            hook=hook.name,
            token=str(uuid.uuid4()),
            timeout=float(hook.heartbeat_timeout),
            began=now,
            until=now + float(hook.heartbeat_timeout),
            result=hook.default_result,
        )
    desk.tell(
        "terminating",
        f"{node.instance_id} of {group.name} goes: {cause}",
        group=group.name,
        instance=node.instance_id,
        cause=cause,
        waits=bool(hook),
    )


def waits_for(
    group: FakeAutoScalingGroup, hook: str, *, instance: str, token: str
) -> list[tuple[Node, Action]]:
    """Return the waits that a call about a lifecycle action speaks of: one, or none."""
    return [
        (node, node.action)
        for node in nodes_of(group, WAITING)
        if node.action
        and node.action.hook == hook
        and (node.instance_id == instance if instance else node.action.token == token)
    ]


def beat(action: Action, now: float) -> None:
    """Take a sign of life: the wait begins anew, but is never longer than 100 of them, as AWS has it."""
    action.until = min(now + action.timeout, action.began + 100 * action.timeout)


def complete(node: Node) -> None:
    """Let a node that waits go on."""
    node.lifecycle_state, node.action = PROCEEDING, None


def advance(group: FakeAutoScalingGroup, desk: Desk) -> None:
    """Terminate the nodes that wait no more."""
    now = desk.now()
    for node in nodes_of(group, WAITING):
        if node.action and now >= node.action.until:
            desk.tell(
                "terminating",
                f"{node.instance_id} of {group.name} did not say that it is ready within "
                f"{node.action.timeout:g} s: it goes all the same",
                group=group.name,
                instance=node.instance_id,
                cause="heartbeat timeout",
                waits=False,
            )
            complete(node)
    for node in nodes_of(group, PROCEEDING):
        end(node, desk)


def end(node: Node, desk: Desk, cause: str = "") -> None:
    """Terminate a node in EC2, where it still is; it stays in its group until its machine has shut down.

    Args:
        node: any.
        desk: the emulator's.
        cause: why, where nothing was told of it before.
    """
    group = node.auto_scaling_group
    targets.leave(node)
    if node.instance.state not in ("terminated", "shutting-down"):
        group.autoscaling_backend.ec2_backend.terminate_instances([node.instance_id])
    node.lifecycle_state, node.action = LEAVING, None
    bury(group, desk)
    desk.tell(
        "terminated",
        f"{node.instance_id} of {group.name} is gone{': ' if cause else ''}{cause}",
        group=group.name,
        instance=node.instance_id,
        address=node.instance.private_ip,
        cause=cause,
    )


def bury(group: FakeAutoScalingGroup, desk: Desk) -> None:
    """Take out the nodes that EC2 was told to terminate and that have shut down."""
    gone = [node for node in nodes_of(group, LEAVING) if node.instance_id not in desk.machines]
    group.instance_states = [one for one in group.instance_states if one not in gone]
