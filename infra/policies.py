"""The grammar of policy documents, and the actions that AWS lets nobody limit to a resource. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Condition = Mapping[str, Mapping[str, Any]]
Statement = dict[str, Any]
Document = dict[str, Any]

UNRESTRICTABLE: Mapping[str, str] = {
    "autoscaling:DescribeAutoScalingGroups": "reads only; Auto Scaling has no resource-level Describe",
    "autoscaling:DescribeLifecycleHooks": "reads only; Auto Scaling has no resource-level Describe",
    "cloudwatch:PutMetricData": "takes no resource; limited by the condition cloudwatch:namespace",
    "ec2:DescribeInstances": "reads only; EC2 has no resource-level Describe",
    "elasticloadbalancing:DescribeTargetHealth": "reads only; takes no resource",
}
"""Every action that a role of ours may use on resource `*`, with the reason. A test compares it with the roles."""


def allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], condition: Condition | None = None
) -> Statement:
    """Return a statement of a role's policy."""
    return _statement(sid, "Allow", None, actions, resources, condition)


def grant(
    sid: str,
    principal: Mapping[str, Any] | str,
    actions: Sequence[str],
    resources: Sequence[str],
    condition: Condition | None = None,
) -> Statement:
    """Return a statement of a resource's policy (bucket, key, endpoint) that lets somebody in."""
    return _statement(sid, "Allow", principal, actions, resources, condition)


def refuse(
    sid: str, actions: Sequence[str], resources: Sequence[str], condition: Condition | None = None
) -> Statement:
    """Return a statement of a resource's policy that stops everybody, the account's administrators too."""
    return _statement(sid, "Deny", "*", actions, resources, condition)


def document(*statements: Statement) -> Document:
    """Return a policy."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def trust(service: str, condition: Condition | None = None) -> Document:
    """Return the policy that lets one service, and nobody else, take a role."""
    statement: Statement = {
        "Sid": "Assume",
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["sts:AssumeRole"],
    }
    return document(statement | ({"Condition": dict(condition)} if condition else {}))


def text(policy: Document) -> str:
    """Return a policy as it is sent: the order of keys is fixed, so that equal policies are equal texts."""
    return json.dumps(policy)


def _statement(
    sid: str,
    effect: str,
    principal: Mapping[str, Any] | str | None,
    actions: Sequence[str],
    resources: Sequence[str],
    condition: Condition | None,
) -> Statement:
    return {
        "Sid": sid,
        "Effect": effect,
        **({"Principal": principal} if principal else {}),
        "Action": list(actions),
        "Resource": list(resources),
        **({"Condition": dict(condition)} if condition else {}),
    }
