"""What a training node and a serving node may do: one pure document a room, every statement named."""

from __future__ import annotations

from dataclasses import dataclass

from infra.policies import Document, Statement, allow, document, trust
from infra.source import Source

NODE_MANAGED_POLICY = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
"""AWS's own policy for Session Manager: a shell without SSH, keys or open ports."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """What the policies of nodes name, all of it known or resolved."""

    account_id: str
    """The account, 12 digits."""
    region: str
    """The region of all that is named here."""
    data: str
    """ARN of the bucket of shards."""
    work: str
    """ARN of the bucket of runs and code."""
    models: str
    """ARN of the bucket of releases."""
    data_key: str
    """ARN of the key that encrypts the buckets."""
    signing_key: str
    """ARN of the key that signs releases."""
    model_name: str
    """The model's name: the folder of its releases."""
    train_group: str
    """Name of the training group."""
    serve_group: str
    """Name of the serving group."""
    target_group: str
    """ARN of the load balancer's target group."""
    train_log_group: str
    """Name of the training nodes' log group."""
    serve_log_group: str
    """Name of the serving nodes' log group."""
    metrics_namespace: str
    """CloudWatch namespace of the nodes' metrics."""
    source: Source | None = None
    """Where the training's data lies outside the stack's buckets; None: nowhere."""

    def group(self, name: str) -> str:
        """Return the ARN of an Auto Scaling group; the part that AWS makes up stands as `*`."""
        return (
            f"arn:aws:autoscaling:{self.region}:{self.account_id}:autoScalingGroup:*"
            f":autoScalingGroupName/{name}"
        )

    def logs(self, name: str) -> str:
        """Return the ARN of a log group's streams."""
        return f"arn:aws:logs:{self.region}:{self.account_id}:log-group:{name}:*"


def node_trust() -> Document:
    """Return who may take a node's role: EC2 alone. EC2 sends neither aws:SourceAccount nor aws:SourceArn."""
    return trust("ec2.amazonaws.com")


def train_policy(places: Places) -> Document:
    """Return what a training node may do: read data, keep its runs, publish one model, size two groups."""
    groups = [places.group(places.train_group), places.group(places.serve_group)]
    return document(
        _list_buckets(places.data, places.work, places.models),
        allow("Data", ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"], [f"{places.data}/*"]),
        *_source(places.source),
        allow("Code", ["s3:GetObject"], [f"{places.work}/code/*", f"{places.work}/wheels/*"]),
        allow(
            "Runs",
            ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            [f"{places.work}/runs/*"],
        ),
        # No delete: a release stays what it was. The pointer beside it changes by compare-and-swap.
        allow(
            "Releases",
            ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
            [f"{places.models}/{places.model_name}/*"],
        ),
        _use_data_key(places, "kms:Decrypt", "kms:GenerateDataKey"),
        allow("Sign", ["kms:Sign", "kms:GetPublicKey"], [places.signing_key]),
        allow(
            "SeeMembers",
            [
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeLifecycleHooks",
                "ec2:DescribeInstances",
            ],
            ["*"],
        ),
        allow("SizeGroups", ["autoscaling:SetDesiredCapacity"], groups),
        # Raising the serving floor takes UpdateAutoScalingGroup, which could also swap what the group starts.
        # Each condition holds only where the request does not speak of that at all.
        allow(
            "RaiseFloor",
            ["autoscaling:UpdateAutoScalingGroup"],
            [places.group(places.serve_group)],
            {
                "Null": {
                    "autoscaling:CapacityReservationIds": "true",
                    "autoscaling:CapacityReservationResourceGroupArns": "true",
                    "autoscaling:InstanceTypes": "true",
                    "autoscaling:LaunchConfigurationName": "true",
                    "autoscaling:LaunchTemplateVersionSpecified": "true",
                    "autoscaling:MaxSize": "true",
                    "autoscaling:VPCZoneIdentifiers": "true",
                }
            },
        ),
        allow(
            "KeepAndLeave",
            [
                "autoscaling:SetInstanceProtection",
                "autoscaling:SetInstanceHealth",  # of a node that hangs, which EC2 does not see
                "autoscaling:CompleteLifecycleAction",
            ],
            [places.group(places.train_group)],
        ),
        *_report(places, places.train_log_group),
    )


def serve_policy(places: Places) -> Document:
    """Return what a serving node may do: read one model and its code, and leave the load balancer."""
    return document(
        _list_buckets(places.models),
        allow("Code", ["s3:GetObject"], [f"{places.work}/code/*", f"{places.work}/wheels/*"]),
        allow("Releases", ["s3:GetObject"], [f"{places.models}/{places.model_name}/*"]),
        _use_data_key(places, "kms:Decrypt"),
        # A signature is verified on the node itself, with the public key.
        allow("Verify", ["kms:GetPublicKey"], [places.signing_key]),
        allow(
            "SeeMembers",
            [
                "autoscaling:DescribeAutoScalingGroups",
                "elasticloadbalancing:DescribeTargetHealth",
            ],
            ["*"],
        ),
        # Only Auto Scaling puts nodes in: who could register targets could send requests elsewhere.
        allow("Leave", ["elasticloadbalancing:DeregisterTargets"], [places.target_group]),
        allow(
            "GiveUp",
            [
                "autoscaling:SetInstanceHealth",
                "autoscaling:CompleteLifecycleAction",
            ],
            [places.group(places.serve_group)],
        ),
        *_report(places, places.serve_log_group),
    )


def _list_buckets(*buckets: str) -> Statement:
    # Without a prefix condition: S3 answers "not there" (404) only to those who may list, and with the
    # condition every missing file would read as "forbidden".
    return allow("List", ["s3:ListBucket"], buckets)


def _source(source: Source | None) -> list[Statement]:
    if source is None:
        return []
    return [
        allow("ListSource", ["s3:ListBucket"], [source.bucket]),
        allow("ReadSource", ["s3:GetObject"], source.objects),
    ]


def _use_data_key(places: Places, *actions: str) -> Statement:
    through_s3 = {"StringEquals": {"kms:ViaService": f"s3.{places.region}.amazonaws.com"}}
    return allow("DataKey", actions, [places.data_key], through_s3)


def _report(places: Places, log_group: str) -> tuple[Statement, Statement]:
    return (
        allow(
            "Metrics",
            ["cloudwatch:PutMetricData"],
            ["*"],
            {"StringEquals": {"cloudwatch:namespace": places.metrics_namespace}},
        ),
        allow(
            "Logs",
            ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
            [places.logs(log_group)],
        ),
    )
