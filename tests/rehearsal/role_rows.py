"""What each statement of the nodes' roles lets through, and a neighbour that it does not: one row a statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import botocore.exceptions

from tests.rehearsal.node_account import Account, Node

Call = Callable[[Node, Account], Any]


@dataclass(frozen=True)
class Row:
    """Calls about one statement."""

    allowed: tuple[Call, ...]
    """That it lets through, and no other statement does."""
    denied: tuple[Call, ...]
    """That nothing lets through."""


def get(bucket: str, key: str) -> Call:
    """Read an object."""
    return lambda node, _: node.s3.get_object(Bucket=bucket, Key=key)


def put(bucket: str, key: str, **more: Any) -> Call:
    """Write an object."""
    return lambda node, _: node.s3.put_object(Bucket=bucket, Key=key, Body=b"x", **more)


def delete(bucket: str, key: str) -> Call:
    """Delete an object."""
    return lambda node, _: node.s3.delete_object(Bucket=bucket, Key=key)


def listing(bucket: str) -> Call:
    """List a bucket."""
    return lambda node, _: node.s3.list_objects_v2(Bucket=bucket)


def upload(bucket: str, key: str) -> Call:
    """Begin an upload in parts, and give it up."""

    def call(node: Node, _: Account) -> None:
        words = {"Bucket": bucket, "Key": key}
        begun = node.s3.create_multipart_upload(**words)["UploadId"]
        node.s3.upload_part(**words, UploadId=begun, PartNumber=1, Body=b"x")
        node.s3.abort_multipart_upload(**words, UploadId=begun)

    return call


def sign(key: str) -> Call:
    """Sign with a key: `signing_key`, or one that the places do not name."""

    def call(node: Node, account: Account) -> Any:
        arn = getattr(account.places, key, None) or account.hidden[key]
        return node.kms.sign(KeyId=arn, Message=b"x", MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256")

    return call


def public_key(node: Node, account: Account) -> Any:
    """Read the public half of the signing key."""
    return node.kms.get_public_key(KeyId=account.places.signing_key)


def data_key(node: Node, account: Account) -> Any:
    """Use the buckets' key directly, not through S3."""
    return node.kms.generate_data_key(KeyId=account.places.data_key, KeySpec="AES_256")


def decrypt(node: Node, account: Account) -> Any:
    """Decrypt with the buckets' key directly, not through S3."""
    return node.kms.decrypt(KeyId=account.places.data_key, CiphertextBlob=b"x" * 64)


def group(operation: str, name: str, **more: Any) -> Call:
    """Ask something of an Auto Scaling group."""
    return lambda node, _: getattr(node.autoscaling, operation)(AutoScalingGroupName=name, **more)


def protect(name: str, role: str) -> Call:
    """Keep a group's node when the group shrinks."""
    return lambda node, account: node.autoscaling.set_instance_protection(
        AutoScalingGroupName=name, InstanceIds=[account.machines[role]], ProtectedFromScaleIn=True
    )


def leave(name: str, role: str) -> Call:
    """Say that a node has drained; it is asked in vain, of a node that nobody ends."""

    def call(node: Node, account: Account) -> None:
        try:
            node.autoscaling.complete_lifecycle_action(
                AutoScalingGroupName=name,
                LifecycleHookName="drain",
                InstanceId=account.machines[role],
                LifecycleActionResult="CONTINUE",
            )
        except botocore.exceptions.ClientError as error:
            if "No active Lifecycle Action found" not in str(error):
                raise

    return call


def sick(which: Callable[[Account], str]) -> Call:
    """Call a node sick."""
    return lambda node, account: node.autoscaling.set_instance_health(
        InstanceId=which(account), HealthStatus="Healthy"
    )


def see(service: str, operation: str, **more: Any) -> Call:
    """Ask what takes no resource."""
    return lambda node, _: getattr(node.client(service), operation)(**more)


def measure(namespace: str) -> Call:
    """Write a metric."""
    return see(
        "cloudwatch", "put_metric_data", Namespace=namespace, MetricData=[{"MetricName": "m", "Value": 1}]
    )


def stream(log_group: str) -> Call:
    """Write into a log group, and look at what there is."""

    def call(node: Node, _: Account) -> None:
        name = f"{node.keys['AccessKeyId']}"
        node.logs.create_log_stream(logGroupName=log_group, logStreamName=name)
        node.logs.put_log_events(
            logGroupName=log_group, logStreamName=name, logEvents=[{"timestamp": 1, "message": "x"}]
        )
        node.logs.describe_log_streams(logGroupName=log_group)

    return call


def targets(operation: str) -> Call:
    """Put a node into the load balancer, or take one out that is in it."""

    def call(node: Node, account: Account) -> Any:
        words = {
            "TargetGroupArn": account.places.target_group,
            "Targets": [{"Id": account.machines["role-serve"]}],
        }
        account.operator.elbv2.register_targets(**words)
        return getattr(node.elbv2, operation)(**words)

    return call


def target_health(node: Node, account: Account) -> Any:
    """See how the load balancer finds the nodes."""
    return node.elbv2.describe_target_health(TargetGroupArn=account.places.target_group)


def floor(**more: Any) -> Call:
    """Raise the serving group's floor, and more in the same call."""
    return group("update_auto_scaling_group", "serve", MinSize=1, **more)


TEMPLATE = {"LaunchTemplateName": "nodes", "Version": "1"}
RESERVED = {"CapacityReservationPreference": "capacity-reservations-only"}
BESIDE_THE_FLOOR: Mapping[str, dict[str, Any]] = {
    "autoscaling:CapacityReservationIds": {
        "CapacityReservationSpecification": {
            **RESERVED,
            "CapacityReservationTarget": {"CapacityReservationIds": ["cr-1"]},
        }
    },
    "autoscaling:CapacityReservationResourceGroupArns": {
        "CapacityReservationSpecification": {
            **RESERVED,
            "CapacityReservationTarget": {
                "CapacityReservationResourceGroupArns": ["arn:aws:resource-groups:eu-central-1:1:group/g"]
            },
        }
    },
    "autoscaling:InstanceTypes": {
        "MixedInstancesPolicy": {"LaunchTemplate": {"Overrides": [{"InstanceType": "p5.48xlarge"}]}}
    },
    "autoscaling:LaunchConfigurationName": {"LaunchConfigurationName": "mine"},
    "autoscaling:LaunchTemplateVersionSpecified": {"LaunchTemplate": TEMPLATE},
    "autoscaling:MaxSize": {"MaxSize": 100},
    "autoscaling:VPCZoneIdentifiers": {"VPCZoneIdentifier": "subnet-1"},
}
"""Condition key of RaiseFloor -> what must not be said in the call that raises the floor."""

TRAIN: Mapping[str, Row] = {
    "List": Row((listing("data"), listing("work"), listing("models")), (listing("strangers"),)),
    "Data": Row(
        (get("data", "digits/1/index.json"), put("data", "digits/2/a"), upload("data", "digits/2/b")),
        (delete("data", "digits/1/index.json"),),
    ),
    "Code": Row((get("work", "code/a.zip"),), (put("work", "code/a.zip"), delete("work", "code/a.zip"))),
    "Runs": Row(
        (
            put("work", "runs/1/a"),
            get("work", "runs/1/a"),
            delete("work", "runs/1/a"),
            upload("work", "runs/1/b"),
        ),
        (put("work", "other/a"), delete("work", "other/a")),
    ),
    "Releases": Row(
        (
            put("models", "digits/2/model.mar"),
            get("models", "digits/2/model.mar"),
            upload("models", "digits/2/b"),
        ),
        (put("models", "others/2/model.mar"), delete("models", "digits/current.json")),
    ),
    "DataKey": Row((put("work", "runs/1/a"), get("work", "code/a.zip")), (data_key, decrypt)),
    "Sign": Row((sign("signing_key"), public_key), (sign("other-key"),)),
    "SeeMembers": Row(
        (
            group("describe_lifecycle_hooks", "train"),
            see("autoscaling", "describe_auto_scaling_groups"),
            see("ec2", "describe_instances"),
        ),
        (see("autoscaling", "describe_policies"), see("ec2", "describe_volumes")),
    ),
    "SizeGroups": Row(
        tuple(group("set_desired_capacity", name, DesiredCapacity=1) for name in ("train", "serve")),
        (group("set_desired_capacity", "other", DesiredCapacity=1),),
    ),
    "RaiseFloor": Row(
        (floor(),),
        (
            group("update_auto_scaling_group", "train", MinSize=1),
            *(floor(**more) for more in BESIDE_THE_FLOOR.values()),
        ),
    ),
    "KeepAndLeave": Row(
        (
            protect("train", "role-train"),
            sick(lambda account: account.machines["role-train"]),
            leave("train", "role-train"),
        ),
        (
            protect("serve", "role-serve"),
            sick(lambda account: account.machines["role-serve"]),
            leave("serve", "role-serve"),
        ),
    ),
    "Metrics": Row((measure("Skylift/dev"),), (measure("Skylift/prod"), measure("AWS/EC2"))),
    "Logs": Row((stream("/skylift/train"),), (stream("/skylift/serve"), stream("other"))),
}
SOURCE: Mapping[str, Row] = {
    "ListSource": Row((listing("theirs"),), (listing("strangers"),)),
    "ReadSource": Row(
        (get("theirs", "books/a.txt"),), (get("theirs", "letters/a.txt"), put("theirs", "books/a.txt"))
    ),
}
SERVE: Mapping[str, Row] = {
    "List": Row((listing("models"),), (listing("work"), listing("data"))),
    "Code": Row((get("work", "code/a.zip"),), (get("work", "runs/1/state.json"), put("work", "code/a.zip"))),
    "Releases": Row(
        (get("models", "digits/current.json"),),
        (get("models", "others/current.json"), put("models", "digits/current.json")),
    ),
    "DataKey": Row((get("models", "digits/current.json"),), (decrypt, data_key)),
    "Verify": Row((public_key,), (sign("signing_key"),)),
    "SeeMembers": Row(
        (see("autoscaling", "describe_auto_scaling_groups"), target_health),
        (see("elbv2", "describe_load_balancers"), see("ec2", "describe_instances")),
    ),
    "Leave": Row((targets("deregister_targets"),), (targets("register_targets"),)),
    "GiveUp": Row(
        (sick(lambda account: account.machines["role-serve"]), leave("serve", "role-serve")),
        (sick(lambda account: account.machines["role-train"]), leave("train", "role-train")),
    ),
    "Metrics": TRAIN["Metrics"],
    "Logs": Row((stream("/skylift/serve"),), (stream("/skylift/train"),)),
}
FLOW_LOGS: Mapping[str, Row] = {"Write": Row((stream("flow"),), (stream("other"),))}
ROWS: Mapping[tuple[str, str], Row] = {
    (role, sid): row
    for role, rows in (
        ("role-train", TRAIN),
        ("role-train-source", {**TRAIN, **SOURCE}),
        ("role-serve", SERVE),
        ("role-flow-logs", FLOW_LOGS),
    )
    for sid, row in rows.items()
}
"""Role and the statement's id -> its calls."""
