"""What each statement of buckets' and keys' policies, of endpoints and of trust lets pass, and what it stops.

The caller may do everything by itself, so that only these policies can stop it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from tests.rehearsal.node_account import Account, Node
from tests.rehearsal.role_rows import (
    Call,
    Row,
    data_key,
    delete,
    get,
    group,
    listing,
    measure,
    public_key,
    put,
    see,
    sick,
    sign,
    stream,
    target_health,
    targets,
)

OTHER_KEY = "arn:aws:kms:eu-central-1:123456789012:key/of-somebody"
THEIR_KEY = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}


def in_the_clear(bucket: str) -> Call:
    """Read an object by plain HTTP."""

    def call(node: Node, account: Account) -> Any:
        return node.client("s3", endpoint=account.emulator.plain).list_objects_v2(Bucket=bucket)

    return call


def with_the_key(bucket: str) -> Call:
    """Write an object that names the stack's key."""
    return lambda node, account: node.s3.put_object(
        Bucket=bucket,
        Key="digits/named",
        Body=b"x",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=account.places.data_key,
    )


def manifest(**more: Any) -> Call:
    """Write a manifest that was not there."""
    return lambda node, _: node.s3.put_object(
        Bucket="models", Key=f"digits/{uuid.uuid4()}/manifest.json", Body=b"x", **more
    )


def begin_manifest(node: Node, _: Account) -> Any:
    """Begin to upload a manifest in parts, which could not say that it must be new."""
    return node.s3.create_multipart_upload(Bucket="models", Key="digits/8/manifest.json")


def delete_version(node: Node, _: Account) -> Any:
    """Delete one version of a manifest."""
    return node.s3.delete_object(Bucket="models", Key="digits/1/manifest.json", VersionId="null")


def _encrypted(bucket: str) -> dict[str, Row]:
    return {
        "TlsOnly": Row((listing(bucket),), (in_the_clear(bucket),)),
        "OtherEncryption": Row(
            (put(bucket, "digits/x"), with_the_key(bucket)),
            (put(bucket, "digits/x", ServerSideEncryption="AES256"),),
        ),
        "OtherKeys": Row(
            (with_the_key(bucket),),
            (put(bucket, "digits/x", ServerSideEncryption="aws:kms", SSEKMSKeyId=OTHER_KEY),),
        ),
        "KeysOfTheirOwn": Row((put(bucket, "digits/x"),), (put(bucket, "digits/x", **THEIR_KEY),)),
    }


BUCKETS: Mapping[tuple[str, str], Row] = {
    **{
        (f"bucket-{bucket}", sid): row
        for bucket in ("data", "work", "models")
        for sid, row in _encrypted(bucket).items()
    },
    ("bucket-models", "ManifestsOnce"): Row(
        (manifest(IfNoneMatch="*"), put("models", "digits/9/model.mar")), (manifest(), begin_manifest)
    ),
    ("bucket-models", "ManifestsStay"): Row(
        (delete("models", "digits/9/model.mar"),),
        (delete("models", "digits/1/manifest.json"), delete_version),
    ),
    ("bucket-logs", "TlsOnly"): Row((listing("logs"),), (in_the_clear("logs"),)),
}
"""Policy and statement, each a denial -> calls that it lets pass, and calls that it stops."""

KEYS: Mapping[tuple[str, str], Row] = {
    # An administrator's role goes by the account: what the key's policy leaves to the account, no more.
    ("key-data", "UseThroughIam"): Row(
        (data_key,), (lambda node, account: node.kms.get_public_key(KeyId=account.places.data_key),)
    ),
    ("key-data", "Administer"): Row(
        (lambda node, account: node.kms.list_resource_tags(KeyId=account.places.data_key),),
        (
            lambda node, account: node.kms.replicate_key(
                KeyId=account.places.data_key, ReplicaRegion="eu-west-1"
            ),
        ),
    ),
    ("key-signing", "UseThroughIam"): Row(
        (sign("signing_key"), public_key),
        (
            lambda node, account: node.kms.encrypt(
                KeyId=account.places.signing_key, Plaintext=b"x", EncryptionAlgorithm="RSAES_OAEP_SHA_256"
            ),
        ),
    ),
    ("key-signing", "Administer"): Row(
        (lambda node, account: node.kms.list_resource_tags(KeyId=account.places.signing_key),),
        (
            lambda node, account: node.kms.replicate_key(
                KeyId=account.places.signing_key, ReplicaRegion="eu-west-1"
            ),
        ),
    ),
}
"""Policy and statement, each a grant to the account -> calls that it lets pass, and calls that no statement grants."""

ENDPOINTS: Mapping[tuple[str, str], Row] = {
    ("endpoint-s3", "OwnBuckets"): Row(
        (get("strangers", "a"), put("work", "runs/1/a"), listing("data")),
        (lambda node, _: node.s3.get_object_tagging(Bucket="data", Key="digits/1/index.json"),),
    ),
    ("endpoint-autoscaling", "OwnAccount"): Row(
        (
            see("autoscaling", "describe_auto_scaling_groups"),
            sick(lambda account: account.machines["role-serve"]),
        ),
        (group("delete_auto_scaling_group", "train"), see("autoscaling", "describe_policies")),
    ),
    ("endpoint-ec2", "OwnAccount"): Row(
        (see("ec2", "describe_instances"),), (see("ec2", "describe_volumes"),)
    ),
    ("endpoint-elasticloadbalancing", "OwnAccount"): Row(
        (target_health, targets("deregister_targets")), (targets("register_targets"),)
    ),
    ("endpoint-kms", "OwnAccount"): Row((public_key, sign("signing_key")), (data_key,)),
    ("endpoint-logs", "OwnAccount"): Row(
        (stream("/skylift/train"),), (see("logs", "create_log_group", logGroupName="mine"),)
    ),
    ("endpoint-monitoring", "OwnAccount"): Row((measure("any"),), (see("cloudwatch", "describe_alarms"),)),
    ("endpoint-ssm", "OwnAccount"): Row(
        (see("ssm", "get_parameters", Names=["/a"]),), (see("ssm", "list_commands"),)
    ),
    ("endpoint-sts", "OwnAccount"): Row(
        (see("sts", "get_caller_identity"),),
        (
            see(
                "sts",
                "assume_role",
                RoleArn="arn:aws:iam::123456789012:role/administrator",
                RoleSessionName="again",
            ),
        ),
    ),
}
"""Endpoint and statement -> calls that pass, and calls that nobody makes through it."""
