"""Rows of what scales and drains a group of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.row import Row
from infra.rehearsal.provider.target import Target


def _policy(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation == "delete_policy":
        return {
            "AutoScalingGroupName": target.inputs["autoscalingGroupName"],
            "PolicyName": target.inputs["name"],
        }
    if operation == "describe_policies":
        return {
            "AutoScalingGroupName": target.inputs["autoscalingGroupName"],
            "PolicyNames": [target.inputs["name"]],
        }
    return request


ROWS: Mapping[str, Row] = {
    "aws:autoscaling/policy:Policy": Row(
        service="autoscaling",
        create="put_scaling_policy",
        update=("put_scaling_policy",),
        read="describe_policies",
        delete="delete_policy",
        id="inputs.name",
        address={"AutoScalingGroupName": "inputs.autoscalingGroupName", "PolicyName": "inputs.name"},
        found="ScalingPolicies[0]",
        names={
            "name": "PolicyName",
            "targetTrackingConfiguration.customizedMetricSpecification.metricDimensions": "Dimensions",
        },
        outputs={"arn": "found.PolicyARN"},
        named="name",
        name_limit=255,
        replace=("name", "autoscalingGroupName", "policyType"),
        mend=_policy,
    ),
    "aws:autoscaling/lifecycleHook:LifecycleHook": Row(
        service="autoscaling",
        create="put_lifecycle_hook",
        update=("put_lifecycle_hook",),
        read="describe_lifecycle_hooks",
        delete="delete_lifecycle_hook",
        id="inputs.name",
        address={
            "AutoScalingGroupName": "inputs.autoscalingGroupName",
            "LifecycleHookName": "inputs.name",
            "LifecycleHookNames": "[inputs.name]",
        },
        found="LifecycleHooks[0]",
        names={"name": "LifecycleHookName"},
        named="name",
        replace=("name", "autoscalingGroupName"),
    ),
}
