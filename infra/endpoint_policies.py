"""What may pass the doors to AWS's services: this account's principals, and the calls that nodes make. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from infra.policies import Document, document, grant

CALLS: Mapping[str, Sequence[str]] = {
    "autoscaling": (
        "autoscaling:CompleteLifecycleAction",
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeAutoScalingInstances",
        "autoscaling:RecordLifecycleActionHeartbeat",
        "autoscaling:SetDesiredCapacity",
        "autoscaling:SetInstanceHealth",
        "autoscaling:SetInstanceProtection",
        "autoscaling:UpdateAutoScalingGroup",
    ),
    "ec2": ("ec2:DescribeInstances",),
    "elasticloadbalancing": (
        "elasticloadbalancing:DeregisterTargets",
        "elasticloadbalancing:DescribeTargetHealth",
        "elasticloadbalancing:RegisterTargets",
    ),
    "kms": ("kms:GetPublicKey", "kms:Sign", "kms:Verify"),
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


def s3_endpoint(account_id: str, region: str) -> Document:
    """Return the policy of the S3 gateway: own principals to own buckets, and AWS's agents for reading.

    Data cannot leave through it to a stranger's bucket, whatever credentials somebody brought along.
    """
    own = {"StringEquals": {"aws:PrincipalAccount": account_id, "aws:ResourceAccount": account_id}}
    calls = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"]
    agents = [f"arn:aws:s3:::{bucket.format(region=region)}/*" for bucket in AGENT_BUCKETS]
    return document(
        grant("OwnBuckets", "*", calls, ["*"], own), grant("AgentPackages", "*", ["s3:GetObject"], agents)
    )
