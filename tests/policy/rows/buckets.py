"""Buckets: private, encrypted, versioned, logged, tidied; what hangs on a bucket is found by who refers to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .resource import Resource, Stack, condition_keys, get, has, on, principals, statements
from .row import alone, among

BUCKET = "aws:s3/bucket:Bucket"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
VAULT = "aws:backup/vault:Vault"
BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


@among(
    29,
    "backup",
    "What is backed up lies encrypted, by a plan that names it (Backup.1, EC2.28, CKV_AWS_166)",
    VAULT,
)
def backup(vault: Resource, stack: Stack) -> Iterator[str]:
    if not vault.has("kmsKeyArn"):
        yield "encrypts with AWS's key; set kms_key_arn"
    plans = [one for one in stack.of("aws:backup/plan:Plan") if vault.key in one.references.get("rules", ())]
    if not any(stack.referring(plan, "aws:backup/selection:Selection", "planId") for plan in plans):
        yield "gets nothing; add a plan that aims at it and a selection"


@among(
    30,
    "private-buckets",
    "Every bucket blocks all public access (S3.1-3, S3.8, CKV_AWS_53-56, CIS 2.1.4)",
    BUCKET,
)
def private_buckets(bucket: Resource, stack: Stack) -> Iterator[str]:
    found = _hanging(bucket, stack, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    if not any(all(one.get(block) is True for block in BLOCKS) for one in found):
        yield "may become public; add s3.BucketPublicAccessBlock with all four switches on"


@among(31, "tls-only", "Every bucket refuses requests without TLS (S3.5, CIS 2.1.1)", BUCKET)
def tls_only(bucket: Resource, stack: Stack) -> Iterator[str]:
    found = [
        one for policy in _hanging(bucket, stack, POLICY) for one in statements(policy.inputs.get("policy"))
    ]
    if not any(_refuses_plain_text(one) for one in found):
        yield "takes requests without TLS; deny aws:SecureTransport false to everybody in its policy"


@among(
    32, "own-key", "Buckets encrypt with the stack's key, by a bucket key (S3.17, CKV_AWS_19, 145)", BUCKET
)
def own_key(bucket: Resource, stack: Stack) -> Iterator[str]:
    kind = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    rules = [rule for one in _hanging(bucket, stack, kind) for rule in one.items("rules")]
    default = "applyServerSideEncryptionByDefault"
    if not any(
        get(one, f"{default}.sseAlgorithm") == "aws:kms"
        and has(one, f"{default}.kmsMasterKeyId")
        and on(get(one, "bucketKeyEnabled"))
        for one in rules
    ):
        yield "encrypts without the stack's key; set aws:kms, kms_master_key_id and bucket_key_enabled"


@among(33, "versions", "Buckets keep what was overwritten or deleted (S3.14, CKV_AWS_21)", BUCKET)
def versions(bucket: Resource, stack: Stack) -> Iterator[str]:
    found = _hanging(bucket, stack, "aws:s3/bucketVersioning:BucketVersioning")
    if not any(one.get("versioningConfiguration.status") == "Enabled" for one in found):
        yield "forgets what is overwritten; enable versioning"


@among(34, "tidied", "Old versions and torn uploads go (S3.10, S3.13, CKV2_AWS_61, CKV_AWS_300)", BUCKET)
def tidied(bucket: Resource, stack: Stack) -> Iterator[str]:
    found = _hanging(bucket, stack, "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
    rules = [rule for one in found for rule in one.items("rules") if get(rule, "status") == "Enabled"]
    for part in ("noncurrentVersionExpiration", "abortIncompleteMultipartUpload"):
        if not any(has(rule, part) for rule in rules):
            yield f"grows for ever; add a lifecycle rule with {part}"


@among(35, "access-logs", "Requests to buckets are logged (S3.9, CKV_AWS_18)", BUCKET)
def access_logs(bucket: Resource, stack: Stack) -> Iterator[str]:
    found = _hanging(bucket, stack, "aws:s3/bucketLogging:BucketLogging")
    if not any(one.has("targetBucket") for one in found):
        yield "does not say who read it; add s3.BucketLogging"


@among(36, "no-acls", "Buckets know no ACLs (S3.12, CKV_AWS_20, 57, 375)", BUCKET)
def no_acls(bucket: Resource, stack: Stack) -> Iterator[str]:
    found = _hanging(bucket, stack, "aws:s3/bucketOwnershipControls:BucketOwnershipControls")
    if not any(one.get("rule.objectOwnership") == "BucketOwnerEnforced" for one in found):
        yield "still listens to ACLs; set object_ownership BucketOwnerEnforced"


@alone(
    37,
    "named-readers",
    "Bucket policies let nobody in by `*` and lock nobody out (S3.6, CKV_AWS_70, 93)",
    POLICY,
)
def named_readers(policy: Resource) -> Iterator[str]:
    for one in statements(policy.inputs.get("policy")):
        sid = one.get("Sid", "?")
        if one["Effect"] == "Allow":
            if "*" in principals(one, "AWS"):
                yield f"lets everybody in by `*` ({sid}); name the role or the service"
            elif principals(one, "Service") and not condition_keys(one) & {
                "aws:sourceaccount",
                "aws:sourcearn",
            }:
                yield f"lets a service in for any account ({sid}); add a condition on aws:SourceAccount"
        elif "*" in principals(one, "AWS") and "s3:*" in one["Action"] and not one["Condition"]:
            yield f"locks everybody out ({sid}); add a condition"


@among(38, "locked", "Releases and their copies carry an object lock (S3.15, CKV_AWS_143)", BUCKET)
def locked(bucket: Resource, stack: Stack) -> Iterator[str]:
    replications = stack.of("aws:s3/bucketReplicationConfig:BucketReplicationConfig")
    copied = any(bucket.key in keys for one in replications for keys in one.references.values())
    if (bucket.name.endswith("-models") or copied) and bucket.get("objectLockEnabled") is not True:
        yield "holds releases that may be deleted; set object_lock_enabled"


def _hanging(bucket: Resource, stack: Stack, kind: str) -> list[Resource]:
    return stack.referring(bucket, kind, "bucket")


def _refuses_plain_text(statement: dict[str, Any]) -> bool:
    return (
        statement["Effect"] == "Deny"
        and "*" in principals(statement, "AWS")
        and statement["Action"] == ["s3:*"]
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    )
