"""A record of every connection in the network, accepted or refused. Functions, no component."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws.cloudwatch as cloudwatch
import pulumi_aws.ec2 as ec2
import pulumi_aws.iam as iam

from infra.policies import Document, allow, document, text, trust


@dataclass(frozen=True, kw_only=True)
class FlowLogArgs:
    """Whose connections are recorded, and where."""

    vpc_id: pulumi.Input[str]
    """The network."""
    account_id: str
    """The account, 12 digits: only its flow logs may take the role."""
    region: str
    """The network's region."""
    retention_days: int
    """Days for which the record is kept; a number that CloudWatch Logs knows."""
    kms_key_arn: pulumi.Input[str]
    """Key that encrypts the record."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags put on every resource."""


def flow_log_trust(account_id: str, region: str) -> Document:
    """Return who may take the role that writes: flow logs of this account and region."""
    return trust(
        "vpc-flow-logs.amazonaws.com",
        {
            "StringEquals": {"aws:SourceAccount": account_id},
            "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:{region}:{account_id}:vpc-flow-log/*"},
        },
    )


def flow_log_policy(log_group: str) -> Document:
    """Return what that role may do: write to one log group, named by its ARN."""
    calls = ["logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    return document(allow("Write", calls, [log_group, f"{log_group}:*"]))


def make_flow_logs(name: str, args: FlowLogArgs, parent: pulumi.Resource) -> ec2.FlowLog:
    """Record all traffic of a network in an encrypted log group of its own."""
    child = pulumi.ResourceOptions(parent=parent)
    group = cloudwatch.LogGroup(
        f"{name}-log",
        retention_in_days=args.retention_days,
        kms_key_id=args.kms_key_arn,
        tags=args.tags,
        opts=child,
    )
    role = iam.Role(
        f"{name}-role",
        description="Writes the record of connections",
        assume_role_policy=text(flow_log_trust(args.account_id, args.region)),
        tags=args.tags,
        opts=child,
    )
    policy = iam.RolePolicy(
        f"{name}-policy",
        role=role.name,
        policy=group.arn.apply(lambda arn: text(flow_log_policy(arn))),
        opts=child,
    )
    return ec2.FlowLog(
        name,
        vpc_id=args.vpc_id,
        traffic_type="ALL",
        log_destination=group.arn,
        log_destination_type="cloud-watch-logs",
        iam_role_arn=role.arn,
        max_aggregation_interval=60,
        tags=args.tags,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[policy]),
    )
