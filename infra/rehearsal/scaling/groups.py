"""One look at a group: dead nodes out, ready ones into service, unhealthy ones replaced, the size as it shall be."""

from __future__ import annotations

from moto.autoscaling.models import FakeAutoScalingGroup
from moto.core.exceptions import ServiceException

from infra.rehearsal.scaling import hooks, targets
from infra.rehearsal.scaling.book import record_of
from infra.rehearsal.scaling.desk import Desk
from infra.rehearsal.scaling.launch import launch
from infra.rehearsal.scaling.nodes import (
    GONE,
    IN_SERVICE,
    PENDING,
    PROCEEDING,
    WAITING,
    Node,
    living,
    nodes_of,
    suspended,
)
from infra.rehearsal.scaling.termination import Candidate, chosen

TOLD_EVERY = 60.0
"""Seconds between two entries about the same trouble."""


def look(group: FakeAutoScalingGroup, desk: Desk) -> None:
    """Look at a group once, and do what AWS would."""
    _bury(group, desk)
    _serve(group, desk)
    if not suspended(group, "ReplaceUnhealthy"):
        for node in nodes_of(group, IN_SERVICE):
            if node.health_status.lower() == "unhealthy":
                hooks.begin(node, "it was reported unhealthy", desk)
    wanted = (group.desired_capacity or 0) + record_of(group).extra
    there = living(group)
    if len(there) < wanted:
        _grow(group, wanted - len(there), desk)
    elif len(there) > wanted and not suspended(group, "Terminate"):
        _shrink(group, there, len(there) - wanted, desk)
    if not suspended(group, "Terminate"):
        hooks.advance(group, desk)
    targets.tidy(group)


def _bury(group: FakeAutoScalingGroup, desk: Desk) -> None:
    """Take out what EC2 has no longer: terminated by somebody, interrupted, or crashed. No hook waits for the dead."""
    for node in nodes_of(group, PENDING, IN_SERVICE, WAITING, PROCEEDING):
        if node.instance.state in GONE:
            hooks.end(node, desk, f"EC2 says that it is {node.instance.state}")
    hooks.bury(group, desk)


def _serve(group: FakeAutoScalingGroup, desk: Desk) -> None:
    for node in nodes_of(group, PENDING):
        if node.instance.state != "running":
            continue
        node.lifecycle_state, node.serving_since = IN_SERVICE, desk.now()
        targets.enter(node)
        desk.tell(
            "in-service",
            f"{node.instance_id} of {group.name} is in service",
            group=group.name,
            instance=node.instance_id,
            address=node.instance.private_ip,
        )


def _grow(group: FakeAutoScalingGroup, count: int, desk: Desk) -> None:
    if suspended(group, "Launch"):
        return
    for _ in range(count):
        try:
            node = launch(group, desk.now())
        except ServiceException as error:
            _refused(group, f"{group.name} could not launch a node: {error}", desk)
            return
        desk.tell(
            "launched",
            f"{node.instance_id} of {group.name} is launched in {node.availability_zone}",
            group=group.name,
            instance=node.instance_id,
            address=node.instance.private_ip,
            zone=node.availability_zone,
            version=str(node.version.number) if node.version else "",
        )


def _refused(group: FakeAutoScalingGroup, what: str, desk: Desk) -> None:
    """Tell why no node comes: AWS goes on trying, and so do we; the same is told once a minute."""
    record = record_of(group)
    if what != record.refused[0] or desk.now() - record.refused[1] >= TOLD_EVERY:
        record.refused = what, desk.now()
        desk.tell("refused", what, group=group.name)


def _shrink(group: FakeAutoScalingGroup, there: list[Node], count: int, desk: Desk) -> None:
    goes = chosen([_candidate(one) for one in there], count, group.termination_policies)
    for node in there:
        if node.instance_id in goes:
            hooks.begin(node, f"the group shrinks to {group.desired_capacity}", desk)


def _candidate(node: Node) -> Candidate:
    return Candidate(
        id=node.instance_id,
        zone=str(node.availability_zone),
        launched=node.launched,
        template=(node.version.template.id, node.version.number) if node.version else ("", 0),
        protected=bool(node.protected_from_scale_in),
    )
