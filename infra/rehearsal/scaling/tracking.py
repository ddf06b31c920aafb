"""Target tracking: a group grows while its metric is above the target, and shrinks when it is long well below.

AWS does not publish the formula; this is proportional, as its documentation describes: so many nodes that the metric,
shared evenly, would be at the target. Out after 3 minutes above, in after 15 below 90 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, FakeScalingPolicy
from moto.cloudwatch.models import cloudwatch_backends

from infra.rehearsal.scaling import policies
from infra.rehearsal.scaling.book import record_of
from infra.rehearsal.scaling.desk import Desk
from infra.rehearsal.scaling.metrics import periods, series
from infra.rehearsal.scaling.nodes import IN_SERVICE, Node, living, suspended

OUT, IN = 3, 15
"""Minutes in a row."""
SLACK = 0.9
"""Share of the target that the metric must be below before nodes go."""
MINUTE = 60


def track(backend: AutoScalingBackend, desk: Desk) -> None:
    """Look at every policy of a region once."""
    for policy in list(backend.policies.values()):
        group = backend.autoscaling_groups.get(policy.auto_scaling_group_name)
        if (
            policy.policy_type == "TargetTrackingScaling"
            and group
            and not suspended(group, "AlarmNotification")
        ):
            _track(policy, group, desk)


def _track(policy: FakeScalingPolicy, group: FakeAutoScalingGroup, desk: Desk) -> None:
    settings: dict[str, Any] = vars(policy.target_tracking_configuration)
    target = float(settings["TargetValue"])
    values = _values(settings, group, desk)
    nodes = living(group)
    warm = [one for one in nodes if _is_warm(one, policy, group, desk)]
    size = group.desired_capacity or 0
    if size == 0 or not warm:
        return  # there is nothing to measure, and a group of none is not for us to begin
    newest = [one for one in values[-OUT:] if one is not None]
    if len(newest) == OUT and min(newest) > target:
        # Those that warm up are on their way already: what is asked for is counted from those that carry the load.
        policies.resize(
            group,
            max(size, math.ceil(len(warm) * (sum(newest) / OUT) / target)),
            f"{policy.name}: {newest[-1]:g} is above {target:g} for {OUT} minutes",
            desk,
        )
        return
    long = [one for one in values if one is not None]
    calm = len(long) == IN and max(long) < SLACK * target
    if calm and len(warm) == len(nodes) and str(settings.get("DisableScaleIn")).lower() != "true":
        policies.resize(
            group,
            min(size, max(1, math.ceil(size * max(long) / target))),
            f"{policy.name}: {max(long):g} is below {SLACK * target:g} for {IN} minutes",
            desk,
        )


def _values(settings: dict[str, Any], group: FakeAutoScalingGroup, desk: Desk) -> Sequence[float | None]:
    """Return the metric of the last minutes, oldest first; None where there is no data."""
    spec = settings["CustomizedMetricSpecification"]
    wanted = periods(desk.clock, MINUTE, IN)
    found = series(
        cloudwatch_backends[group.account_id][group.region],
        desk.clock,
        namespace=spec["Namespace"],
        name=spec["MetricName"],
        dimensions={one["Name"]: one["Value"] for one in spec.get("Dimensions") or []},
        stat=spec["Statistic"],
        length=MINUTE,
        wanted=wanted,
    )
    return [found.get(period) for period in wanted]


def _is_warm(node: Node, policy: FakeScalingPolicy, group: FakeAutoScalingGroup, desk: Desk) -> bool:
    if node.lifecycle_state != IN_SERVICE or node.serving_since is None:
        return False
    own = policy.estimated_instance_warmup
    given = own if own is not None else record_of(group).warmup
    return desk.clock.passed(node.serving_since) >= float(group.default_cooldown if given is None else given)
