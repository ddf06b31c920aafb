"""Roles: who may take them, and what they may do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .resource import Resource, condition_keys, principals, statements
from .row import alone

ROLE = "aws:iam/role:Role"
POLICIES = ("aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy")
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
WITHOUT_RESOURCE = {
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeLifecycleHooks",
    "cloudwatch:GetMetricData",
    "cloudwatch:PutMetricData",
    "ec2:DescribeInstances",
    "elasticloadbalancing:DescribeTargetHealth",
    "events:ListRules",
    "s3:ListAllMyBuckets",
}
"""What AWS lets be allowed on `*` only, of all that this program needs (Service Authorization Reference)."""
ESCALATIONS = re.compile(
    r"iam:(Add|Attach|Create|Delete|Detach|PassRole|Put|Remove|Set|Tag|Untag|Update|Upload)"
    r"|sts:AssumeRole|lambda:(Create|Update|Invoke)|ec2:(RunInstances|CreateLaunchTemplate|ModifyLaunchTemplate)"
    r"|ssm:(SendCommand|StartSession|PutParameter)|kms:(PutKeyPolicy|CreateGrant)|s3:(PutBucketPolicy|PutBucketAcl)"
    r"|secretsmanager:|organizations:|cloudformation:|codebuild:|glue:|sagemaker:"
)
"""Beginnings of actions by which a role could get more than it was given."""
OF_THE_CALLER_ONLY = {"ec2.amazonaws.com"}
"""Services that send no aws:SourceAccount when they take a role."""


@alone(
    40,
    "no-wildcard-actions",
    "No `*:*`, no `service:*` (IAM.1, IAM.21, CKV_AWS_62, 63, CIS 7 2.14)",
    *POLICIES,
)
def no_wildcard_actions(policy: Resource) -> Iterator[str]:
    for one in _allowed(policy):
        for action in one["Action"]:
            if action.endswith(":*") or action == "*":
                yield f"allows `{action}` ({one.get('Sid', '?')}); name the actions"
        if "NotAction" in one:
            yield f"allows all but some actions ({one.get('Sid', '?')}); name the allowed ones"


@alone(
    41,
    "narrow",
    "No way to more rights, no resource `*` where a narrower one exists (CKV_AWS_286-290, 355)",
    *POLICIES,
)
def narrow(policy: Resource) -> Iterator[str]:
    for one in _allowed(policy):
        sid = one.get("Sid", "?")
        for action in one["Action"]:
            if ESCALATIONS.match(action):
                yield f"allows `{action}` ({sid}), by which a node could get more rights; remove it"
            elif "*" in one["Resource"] and action not in WITHOUT_RESOURCE:
                yield f"allows `{action}` on every resource ({sid}); name the resources"
            if action == "cloudwatch:PutMetricData" and "cloudwatch:namespace" not in condition_keys(one):
                yield f"writes metrics of every namespace ({sid}); add a condition on cloudwatch:namespace"


@alone(
    42, "no-full-access", "No AdministratorAccess, no *FullAccess (IAM.1, CKV_AWS_274, 275)", ATTACHMENT, ROLE
)
def no_full_access(resource: Resource) -> Iterator[str]:
    arns = (
        [resource.get("policyArn")]
        if resource.type == ATTACHMENT
        else (resource.get("managedPolicyArns") or [])
    )
    for arn in arns:
        if re.search(r"(AdministratorAccess|PowerUserAccess|FullAccess)$", arn or ""):
            yield f"carries {arn.split('/')[-1]}; write a policy of what is needed"


@alone(
    43, "one-service", "A role is taken by the service that needs it, for this account (CKV_AWS_60, 61)", ROLE
)
def one_service(role: Resource) -> Iterator[str]:
    for one in statements(role.inputs.get("assumeRolePolicy")):
        if one["Effect"] != "Allow":
            continue
        if principals(one, "AWS") or "NotPrincipal" in one:
            yield "may be taken by accounts, not by a service; name the service"
        services = set(principals(one, "Service"))
        bound = condition_keys(one) & {"aws:sourceaccount", "aws:sourcearn"}
        if services - OF_THE_CALLER_ONLY and not bound:
            yield "may be taken by a service on any account's behalf; add a condition on aws:SourceAccount"


@alone(44, "no-key-of-all", "No decryption with every key (KMS.1, KMS.2)", *POLICIES)
def no_key_of_all(policy: Resource) -> Iterator[str]:
    for one in _allowed(policy):
        decrypts = [action for action in one["Action"] if re.match(r"kms:(\*|Decrypt|ReEncrypt)", action)]
        if decrypts and any(re.search(r"^\*$|:key/\*$|:kms:\*", arn) for arn in one["Resource"]):
            yield f"decrypts with every key ({one.get('Sid', '?')}); name the key"


def _allowed(policy: Resource) -> list[dict[str, Any]]:
    return [one for one in statements(policy.inputs.get("policy")) if one["Effect"] == "Allow"]
