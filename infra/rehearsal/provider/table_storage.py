"""Rows of storage: buckets, what is set on them, and objects that the program puts there."""

from __future__ import annotations

import copy
import urllib.parse
from collections.abc import Mapping
from typing import Any

import botocore.exceptions

from infra.rehearsal.provider import shapes
from infra.rehearsal.provider.properties import asset_bytes
from infra.rehearsal.provider.row import Row, put
from infra.rehearsal.provider.target import Target

RULE_NAMES = {"rules": "LifecycleConfiguration.Rules", "rules.id": "ID"}
FORGOTTEN = ("objectSizeGreaterThan", "objectSizeLessThan", "sourceSelectionCriteria")
"""Of rules: moto does not keep it."""
MOST_DELETED = 1000
"""Objects of one call."""


def _bucket(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation == "create_bucket" and target.region != "us-east-1":  # that one is not to be named
        request["CreateBucketConfiguration"] = {"LocationConstraint": target.region}
    return request


def _bucket_tags(target: Target, changed: set[str]) -> None:
    if "tags" in changed:
        pairs = [{"Key": key, "Value": value} for key, value in (target.inputs.get("tags") or {}).items()]
        target.call("put_bucket_tagging", Bucket=target.id, Tagging={"TagSet": pairs})


def _bucket_seen(target: Target, _: Mapping[str, Any]) -> dict[str, Any]:
    try:
        pairs = target.call("get_bucket_tagging", Bucket=target.id)["TagSet"]
    except botocore.exceptions.ClientError:
        pairs = []
    return {"tags": {one["Key"]: one["Value"] for one in pairs if not one["Key"].startswith("aws:")}}


def _empty(target: Target) -> None:
    """Delete all versions where the program allows it; else AWS refuses to delete a bucket that is not empty."""
    if not target.inputs.get("forceDestroy"):
        return
    while versions := _versions(target):  # those too that came meanwhile: other buckets may log into this one
        answer = target.call(
            "delete_objects",
            Bucket=target.id,
            Delete={"Objects": versions, "Quiet": True},
            BypassGovernanceRetention=True,
        )
        if answer.get("Errors"):
            return  # AWS says why the bucket cannot go


def _versions(target: Target) -> list[dict[str, str]]:
    page = target.call("list_object_versions", Bucket=target.id)
    found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found][:MOST_DELETED]


def _object(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation != "put_object":
        return request
    request["Body"] = asset_bytes(target.inputs["source"])
    request["Tagging"] = urllib.parse.urlencode(target.inputs.get("tags") or {})
    return request


def _object_seen(target: Target, _: Mapping[str, Any]) -> dict[str, Any]:
    found = target.call("get_object_tagging", Bucket=target.inputs["bucket"], Key=target.inputs["key"])
    return {"tags": {one["Key"]: one["Value"] for one in found["TagSet"]}}


def _delete_versions(target: Target) -> None:
    bucket, key = target.inputs["bucket"], target.inputs["key"]
    pages = target.client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    for page in pages:
        for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            if one["Key"] == key:
                target.call("delete_object", Bucket=bucket, Key=key, VersionId=one["VersionId"])


def _versioning(target: Target) -> None:
    """Suspend versioning where it is no longer asked for; AWS cannot take it away."""
    bucket = target.inputs["bucket"]
    try:
        target.call("get_object_lock_configuration", Bucket=bucket)
    except botocore.exceptions.ClientError:
        off = {"Status": "Suspended"}
        target.call("put_bucket_versioning", Bucket=bucket, VersioningConfiguration=off)


def _lifecycle(_: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation == "put_bucket_lifecycle_configuration":
        for rule in request["LifecycleConfiguration"]["Rules"]:
            rule.setdefault("Filter", {"Prefix": ""})
    return request


def _rules_seen(target: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    """Compare rules without what the emulator forgets of them."""
    asked = copy.deepcopy(target.inputs.get("rules") or [])
    for rule in asked:
        parts = (rule.get("filter") or {}).get("and") or {}
        for name in FORGOTTEN:
            rule.pop(name, None)
            parts.pop(name, None)
    member = target.row.names["rules"]
    shape = target.shape(target.row.create)
    wanted = shapes.document(shape, {"rules": asked}, target.row.names)[member.split(".")[0]]["Rules"]
    there = found.get("Rules", [])
    return {"rules": target.inputs.get("rules") if shapes.holds(wanted, there) else shapes.plain(there)}


def _lock(_: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation == "put_object_lock_configuration":
        request["ObjectLockConfiguration"]["ObjectLockEnabled"] = "Enabled"
    return request


def _logging_off(target: Target) -> None:
    target.call("put_bucket_logging", Bucket=target.inputs["bucket"], BucketLoggingStatus={})


BUCKET_OBJECT = Row(
    service="s3",
    create="put_object",
    update=("put_object",),
    read="head_object",
    id="join('/', [inputs.bucket, inputs.key])",
    address={"Bucket": "inputs.bucket", "Key": "inputs.key"},
    names={
        "kmsKeyId": "SSEKMSKeyId",
        "source": "Body",
        "tags": "Tagging",
    },
    outputs={
        "arn": "join('', ['arn:aws:s3:::', inputs.bucket, '/', inputs.key])",
        "etag": "found.ETag",
        "versionId": "found.VersionId",
    },
    moves=("etag", "versionId"),
    replace=("bucket", "key"),
    unseen=("tags", "source"),
    mend=_object,
    seen=_object_seen,
    before_delete=_delete_versions,
)

ROWS: Mapping[str, Row] = {
    "aws:s3/bucket:Bucket": Row(
        service="s3",
        create="create_bucket",
        read="head_bucket",
        delete="delete_bucket",
        id="inputs.bucket",
        address={"Bucket": "inputs.bucket"},
        names={"objectLockEnabled": "ObjectLockEnabledForBucket"},
        outputs={
            "arn": "join('', ['arn:aws:s3:::', id])",
            "bucketDomainName": "join('', [id, '.s3.amazonaws.com'])",
            "bucketRegionalDomainName": "join('', [id, '.s3.', region, '.amazonaws.com'])",
        },
        named="bucket",
        in_place=("tags",),
        local=("forceDestroy",),
        change=_bucket_tags,
        seen=_bucket_seen,
        mend=_bucket,
        before_delete=_empty,
    ),
    "aws:s3/bucketVersioning:BucketVersioning": put(
        "s3",
        "bucket_versioning",
        delete="",
        gone="found.Status == null",
        names={"versioningConfiguration": "VersioningConfiguration"},
        before_delete=_versioning,
        seen=lambda _, found: {"versioningConfiguration": {"status": found.get("Status")}},
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": put(
        "s3",
        "bucket_encryption",
        found="ServerSideEncryptionConfiguration",
        names={
            "rules": "ServerSideEncryptionConfiguration.Rules",
            "rules.applyServerSideEncryptionByDefault.kmsMasterKeyId": "KMSMasterKeyID",
            "rules.applyServerSideEncryptionByDefault.sseAlgorithm": "SSEAlgorithm",
        },
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": put(
        "s3",
        "public_access_block",
        found="PublicAccessBlockConfiguration",
        names={
            name: f"PublicAccessBlockConfiguration.{name[0].upper()}{name[1:]}"
            for name in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        },
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": put(
        "s3",
        "bucket_ownership_controls",
        found="OwnershipControls",
        names={"rule": "OwnershipControls.Rules"},
    ),
    "aws:s3/bucketPolicy:BucketPolicy": put("s3", "bucket_policy", kind="patched"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": put(
        "s3",
        "bucket_lifecycle_configuration",
        delete="delete_bucket_lifecycle",
        names=RULE_NAMES,
        mend=_lifecycle,
        seen=_rules_seen,
    ),
    "aws:s3/bucketLogging:BucketLogging": put(
        "s3",
        "bucket_logging",
        kind="patched",
        delete="",
        found="LoggingEnabled",
        names={
            "targetBucket": "BucketLoggingStatus.LoggingEnabled.TargetBucket",
            "targetPrefix": "BucketLoggingStatus.LoggingEnabled.TargetPrefix",
        },
        before_delete=_logging_off,
    ),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": put(
        "s3",
        "object_lock_configuration",
        delete="",  # a bucket's lock stays for good: only its default retention could go
        found="ObjectLockConfiguration",
        names={"rule": "ObjectLockConfiguration.Rule"},
        mend=_lock,
    ),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": put(
        "s3",
        "bucket_replication",
        found="ReplicationConfiguration",
        names={
            "role": "ReplicationConfiguration.Role",
            "rules": "ReplicationConfiguration.Rules",
            "rules.id": "ID",
            "rules.destination.encryptionConfiguration.replicaKmsKeyId": "ReplicaKmsKeyID",
        },
        seen=_rules_seen,
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": BUCKET_OBJECT,
}
