"""Instance refresh: every node is replaced by one of what the group launches from now, new ones first."""

from __future__ import annotations

import math
import uuid
from datetime import UTC, datetime
from typing import Any

from moto.autoscaling.models import FakeAutoScalingGroup
from moto.cloudwatch.models import cloudwatch_backends

from infra.rehearsal.scaling import hooks
from infra.rehearsal.scaling.book import Record, Refresh, Source, record_of, source_of
from infra.rehearsal.scaling.desk import Desk
from infra.rehearsal.scaling.launch import version_of
from infra.rehearsal.scaling.nodes import IN_SERVICE, Node, living, suspended

RUNNING = ("Pending", "InProgress", "Cancelling", "RollbackInProgress")
MIN_HEALTHY, MAX_HEALTHY = 90, 100
"""AWS's percentages where none are given."""


def active(record: Record) -> Refresh | None:
    """Return the refresh that is not over."""
    return next((one for one in record.refreshes if one.status in RUNNING), None)


def begin(group: FakeAutoScalingGroup, preferences: dict[str, Any], desired: Source, now: float) -> Refresh:
    """Return a refresh that is Pending until the loop takes it up.

    Args:
        group: moto's.
        preferences: as in the call.
        desired: what nodes shall be launched from; empty: what the group launches from.
        now: seconds since 1970.
    """
    record, present = record_of(group), source_of(group)
    wanted = desired if desired.specification else present
    # The AWS plugin changes the group first and then starts the refresh, with the very same wish: what a rollback
    # brings back is then what the group launched from before that change.
    same = version_number(group, wanted) == version_number(group, present)
    before = record.before if same and record.before else present
    refresh = Refresh(id=str(uuid.uuid4()), began=now, preferences=preferences, desired=wanted, before=before)
    record.refreshes.append(refresh)
    return refresh


def version_number(group: FakeAutoScalingGroup, source: Source) -> tuple[str, int]:
    """Return template and version that a source means today."""
    specification = source.specification
    ec2 = group.autoscaling_backend.ec2_backend
    if specification.get("LaunchTemplateId"):
        template = ec2.get_launch_template(specification["LaunchTemplateId"])
    elif specification.get("LaunchTemplateName"):
        template = ec2.get_launch_template_by_name(specification["LaunchTemplateName"])
    else:
        return "", 0
    return template.id, template.get_version(specification.get("Version") or "$Default").number


def cancel(group: FakeAutoScalingGroup, refresh: Refresh, now: float) -> None:
    """Stop where it is: nodes stay as they are, old and new."""
    refresh.status, refresh.reason, refresh.ended = "Cancelled", "Cancelled due to user request.", now
    record_of(group).extra = 0


def roll_back(group: FakeAutoScalingGroup, refresh: Refresh, why: str) -> None:
    """Let the group launch again what it launched before, and replace what was replaced."""
    refresh.status, refresh.reason = "RollbackInProgress", why
    use(group, refresh.before)
    refresh.total = len(outdated(group, refresh))


def use(group: FakeAutoScalingGroup, source: Source) -> None:
    """Let a group launch from something else."""
    if source.policy:
        group.mixed_instances_policy = source.policy
        group._set_launch_configuration("", {}, source.policy)
    elif source.template:
        group.mixed_instances_policy = None
        group._set_launch_configuration("", source.template, None)


def outdated(group: FakeAutoScalingGroup, refresh: Refresh) -> list[Node]:
    """Return the living nodes that are to go, oldest first."""
    nodes = [
        one for one in living(group) if not one.protected_from_scale_in
    ]  # ignored, as AWS does unless told
    if not refresh.preferences.get("SkipMatching") and refresh.status != "RollbackInProgress":
        return [one for one in nodes if one.launched < refresh.began]
    version = version_of(group)
    return [one for one in nodes if one.version is not version]


def warmup(group: FakeAutoScalingGroup, refresh: Refresh) -> float:
    """Return the seconds of AWS's that a new node must have been in service for."""
    given = refresh.preferences.get("InstanceWarmup")
    if given is not None and int(given) >= 0:
        return float(given)
    own = record_of(group).warmup
    return float(own if own is not None else group.health_check_grace_period or 0)


def step(group: FakeAutoScalingGroup, desk: Desk) -> None:
    """Take a group's refresh a step further: ask for new nodes, let old ones go when enough are ready."""
    record = record_of(group)
    refresh = active(record)
    if refresh is None or suspended(group, "InstanceRefresh"):
        return
    if refresh.status == "Pending":
        if version_number(group, refresh.desired) != version_number(group, source_of(group)):
            use(group, refresh.desired)
        refresh.status, refresh.reason = "InProgress", "Replacing instances before cooldown"
        refresh.total = len(outdated(group, refresh))
        _told(group, refresh, desk)
    if refresh.status == "InProgress" and (raised := _raised(group, refresh)):
        if not refresh.preferences.get("AutoRollback"):
            _end(group, refresh, "Failed", f"The alarm {raised} was raised.", desk)
            return
        roll_back(group, refresh, f"The alarm {raised} was raised.")
        _told(group, refresh, desk)
    old, size = outdated(group, refresh), group.desired_capacity or 0
    refresh.left = len(old)
    if not old and len(_ready(group, refresh, desk)) >= size:
        over = "Successful" if refresh.status == "InProgress" else "RollbackSuccessful"
        _end(group, refresh, over, refresh.reason if over != "Successful" else "", desk)
        return
    ready, least = _ready(group, refresh, desk), _least(size, refresh)
    for node in old:
        if node in ready and len(ready) <= least:
            continue
        ready = [one for one in ready if one is not node]
        hooks.begin(node, "an instance refresh replaces it", desk)
    # Of those that are still to go: nothing comes in place of the last ones.
    record.extra = min(len(outdated(group, refresh)), most(size, refresh) - size)


def most(size: int, refresh: Refresh) -> int:
    """Return how many nodes there may be at once: one more at least, where the preferences let there be more."""
    percentage = int(refresh.preferences.get("MaxHealthyPercentage") or MAX_HEALTHY)
    return size if percentage <= 100 else max(size + 1, size * percentage // 100)


def _least(size: int, refresh: Refresh) -> int:
    """Return how many nodes must be ready at any time."""
    given = refresh.preferences.get("MinHealthyPercentage")
    percentage = MIN_HEALTHY if given is None else int(given)
    least = math.ceil(size * percentage / 100)
    return (
        least if percentage >= 100 else min(least, max(0, size - 1))
    )  # else a small group would never begin


def _ready(group: FakeAutoScalingGroup, refresh: Refresh, desk: Desk) -> list[Node]:
    """Return the nodes that count as healthy: those from before, and new ones once they are warm."""
    seconds = warmup(group, refresh)
    return [
        one
        for one in living(group)
        if one.lifecycle_state == IN_SERVICE
        and one.serving_since is not None
        and (one.launched < refresh.began or desk.clock.passed(one.serving_since) >= seconds)
    ]


def _raised(group: FakeAutoScalingGroup, refresh: Refresh) -> str:
    """Return the name of an alarm that stops a refresh; empty: none is raised."""
    names = (refresh.preferences.get("AlarmSpecification") or {}).get("Alarms") or []
    alarms = cloudwatch_backends[group.account_id][group.region].alarms
    return next((one for one in names if one in alarms and alarms[one].state_value == "ALARM"), "")


def _end(group: FakeAutoScalingGroup, refresh: Refresh, status: str, reason: str, desk: Desk) -> None:
    refresh.status, refresh.reason, refresh.ended, refresh.left = status, reason, desk.now(), 0
    record_of(group).extra = 0
    _told(group, refresh, desk)


def _told(group: FakeAutoScalingGroup, refresh: Refresh, desk: Desk) -> None:
    desk.tell(
        "refresh",
        f"instance refresh of {group.name}: {refresh.status} {refresh.reason}".strip(),
        group=group.name,
        refresh=refresh.id,
        state=refresh.status,
        nodes=refresh.total,
    )


def described(group: FakeAutoScalingGroup, refresh: Refresh) -> dict[str, Any]:
    """Return a refresh as the API shows it."""
    done = 100 if refresh.status == "Successful" else 0
    if refresh.total and refresh.status != "Successful":
        done = 100 * (refresh.total - refresh.left) // refresh.total
    desired: dict[str, Any] = {}
    if refresh.desired.policy:
        desired["MixedInstancesPolicy"] = refresh.desired.policy
    elif refresh.desired.template:
        desired["LaunchTemplate"] = refresh.desired.template
    found = {
        "InstanceRefreshId": refresh.id,
        "AutoScalingGroupName": group.name,
        "Status": refresh.status,
        "StatusReason": refresh.reason or None,
        "StartTime": datetime.fromtimestamp(refresh.began, UTC),
        "EndTime": datetime.fromtimestamp(refresh.ended, UTC) if refresh.ended is not None else None,
        "PercentageComplete": done,
        "InstancesToUpdate": refresh.left,
        "Preferences": refresh.preferences,
        "DesiredConfiguration": desired or None,
        "Strategy": "Rolling",
    }
    return {name: value for name, value in found.items() if value is not None}
