"""What may pass the doors to AWS's services: this account's principals, and the calls that nodes make. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from infra.policies import Document, document, grant
from infra.source import Source

CALLS: Mapping[str, Sequence[str]] = {
    "autoscaling": (
        "autoscaling:CompleteLifecycleAction",
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeLifecycleHooks",
        "autoscaling:SetDesiredCapacity",
        "autoscaling:SetInstanceHealth",
        "autoscaling:SetInstanceProtection",
        "autoscaling:UpdateAutoScalingGroup",
    ),
    "ec2": ("ec2:DescribeInstances",),
    "elasticloadbalancing": (
        "elasticloadbalancing:DeregisterTargets",
        "elasticloadbalancing:DescribeTargetHealth",
    ),
    "kms": ("kms:GetPublicKey", "kms:Sign"),
    "logs": ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
    "monitoring": ("cloudwatch:PutMetricData",),
    "ssm": (
        "ssm:DescribeAssociation",
        "ssm:DescribeDocument",
        "ssm:GetDeployablePatchSnapshotForInstance",
        "ssm:GetDocument",
        "ssm:GetManifest",
        "ssm:GetParameter",
        "ssm:GetParameters",
        "ssm:ListAssociations",
        "ssm:ListInstanceAssociations",
        "ssm:PutComplianceItems",
        "ssm:PutConfigurePackageResult",
        "ssm:PutInventory",
        "ssm:UpdateAssociationStatus",
        "ssm:UpdateInstanceAssociationStatus",
        "ssm:UpdateInstanceInformation",
    ),
    "ssmmessages": (
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    ),
    "sts": ("sts:GetCallerIdentity",),
}
"""Service -> the calls that nodes make to it. The ssm lists are what AmazonSSMManagedInstanceCore lets an agent do."""

AGENT_BUCKETS = ("amazon-ssm-{region}", "aws-ssm-{region}", "amazoncloudwatch-agent-{region}")
"""Buckets of AWS's own, with the packages of its agents."""


def interface_endpoint(service: str, account_id: str) -> Document:
    """Return the policy of an interface endpoint. Roles decide about resources; the door knows calls and callers."""
    own = {"StringEquals": {"aws:PrincipalAccount": account_id}}
    return document(grant("OwnAccount", "*", CALLS[service], ["*"], own))


def s3_endpoint(account_id: str, region: str, source: Source | None = None) -> Document:
    """Return the policy of the S3 gateway: own principals to own buckets, and reading of what else is named.

    Data cannot leave through it to a stranger's bucket, whatever credentials somebody brought along.

    Args:
        account_id: the account, 12 digits.
        region: of AWS's buckets with agents.
        source: data of the training in another bucket, maybe another account's.
    """
    caller = {"aws:PrincipalAccount": account_id}
    own = {"StringEquals": caller | {"aws:ResourceAccount": account_id}}
    calls = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"]
    agents = [f"arn:aws:s3:::{bucket.format(region=region)}/*" for bucket in AGENT_BUCKETS]
    statements = [
        grant("OwnBuckets", "*", calls, ["*"], own),
        grant("AgentPackages", "*", ["s3:GetObject"], agents),
    ]
    if source is not None:
        read = ["s3:GetObject", "s3:ListBucket"]
        places = [source.bucket, *source.objects]
        statements.append(grant("Source", "*", read, places, {"StringEquals": caller}))
    return document(*statements)
