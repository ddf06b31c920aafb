"""How a group of nodes grows, drains and is renewed: its parts, each by a pure function."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws.autoscaling as autoscaling

TERMINATE_HOOK = "terminate"
"""Name of the lifecycle hook that a node completes when it has saved or drained."""
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
GROUP_METRICS: list[pulumi.Input[autoscaling.Metric]] = [
    autoscaling.Metric.GROUP_DESIRED_CAPACITY,
    autoscaling.Metric.GROUP_IN_SERVICE_INSTANCES,
    autoscaling.Metric.GROUP_PENDING_INSTANCES,
    autoscaling.Metric.GROUP_TERMINATING_INSTANCES,
]
"""Counts that the group reports; they cost nothing."""


def mixed_instances(
    *,
    launch_template_id: pulumi.Input[str],
    version: pulumi.Input[str],
    instance_types: Sequence[str],
    on_demand_base: int,
    on_demand_percentage: int,
) -> autoscaling.GroupMixedInstancesPolicyArgs:
    """Return the policy of which types and which market nodes are taken from.

    Args:
        launch_template_id: the template.
        version: its version, a number.
        instance_types: the wished one first: on-demand nodes are tried in this order.
        on_demand_base: nodes that are never spot.
        on_demand_percentage: share of the others that are not.
    """
    return autoscaling.GroupMixedInstancesPolicyArgs(
        launch_template=autoscaling.GroupMixedInstancesPolicyLaunchTemplateArgs(
            launch_template_specification=autoscaling.GroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecificationArgs(
                launch_template_id=launch_template_id, version=version
            ),
            overrides=[
                autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideArgs(instance_type=one)
                for one in instance_types
            ],
        ),
        instances_distribution=autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs(
            on_demand_allocation_strategy="prioritized",
            on_demand_base_capacity=on_demand_base,
            on_demand_percentage_above_base_capacity=on_demand_percentage,
            spot_allocation_strategy="price-capacity-optimized",
        ),
    )


def terminate_hook(drain_seconds: int) -> autoscaling.GroupInitialLifecycleHookArgs:
    """Return the hook that holds a node back until it has saved its work or answered its last request.

    It is part of the group and not a resource beside it: such a one would be deleted before the group, and the nodes
    of a group that is being deleted would go without it. CONTINUE: a node that hangs must not stay.
    """
    return autoscaling.GroupInitialLifecycleHookArgs(
        name=TERMINATE_HOOK,
        lifecycle_transition=TERMINATING,
        default_result="CONTINUE",
        heartbeat_timeout=max(30, drain_seconds),
    )


def rolling_refresh(
    *, warmup_seconds: int, rollback_alarms: Sequence[str]
) -> autoscaling.GroupInstanceRefreshArgs:
    """Return how a new version of the template reaches running nodes: new ones first, back at an alarm.

    Args:
        warmup_seconds: how long a new node may take to be ready.
        rollback_alarms: names of the alarms that undo it.
    """
    return autoscaling.GroupInstanceRefreshArgs(
        strategy="Rolling",
        preferences=autoscaling.GroupInstanceRefreshPreferencesArgs(
            min_healthy_percentage=100,
            max_healthy_percentage=110,
            instance_warmup=str(warmup_seconds),
            auto_rollback=True,
            skip_matching=True,
            alarm_specification=autoscaling.GroupInstanceRefreshPreferencesAlarmSpecificationArgs(
                alarms=list(rollback_alarms)
            )
            if rollback_alarms
            else None,
        ),
    )


def queue_tracking(
    *, group_name: str, metrics_namespace: str, queue_target_ms: int
) -> autoscaling.PolicyTargetTrackingConfigurationArgs:
    """Return the target that the group's size follows: the mean wait in a node's queue.

    Args:
        group_name: the metric's dimension.
        metrics_namespace: where nodes report it.
        queue_target_ms: milliseconds.
    """
    return autoscaling.PolicyTargetTrackingConfigurationArgs(
        target_value=float(queue_target_ms),
        customized_metric_specification=autoscaling.PolicyTargetTrackingConfigurationCustomizedMetricSpecificationArgs(
            metric_name="QueueMilliseconds",
            namespace=metrics_namespace,
            statistic="Average",
            metric_dimensions=[
                autoscaling.PolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricDimensionArgs(
                    name="Group", value=group_name
                )
            ],
        ),
    )
