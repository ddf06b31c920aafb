"""One bucket as every bucket of ours is: private, owned, versioned, encrypted, tidied. A function, no component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws.s3 as s3

from infra.lifecycle import Rule, tidy


@dataclass(frozen=True, kw_only=True)
class BucketArgs:
    """What differs from bucket to bucket."""

    kms_key_arn: pulumi.Input[str] | None
    """Key that encrypts it; None: S3's own (the load balancer can write to no other)."""
    noncurrent_days: int
    """Days for which overwritten and deleted objects can be brought back."""
    rules: Sequence[Rule] = ()
    """Further lifecycle rules."""
    object_lock: bool = False
    """Make it with Object Lock, which cannot be added later by an update."""
    force_destroy: bool = False
    """Delete what it holds when the stack is destroyed."""
    protect: bool = False
    """Refuse to delete it until this is off."""
    region: str | None = None
    """Where it is made; None: the stack's region."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags put on it."""


def make_bucket(name: str, args: BucketArgs, parent: pulumi.Resource) -> s3.Bucket:
    """Make a bucket with all that belongs to it but its policy and its access log."""
    child = pulumi.ResourceOptions(parent=parent)
    bucket = s3.Bucket(
        name,
        force_destroy=args.force_destroy,
        object_lock_enabled=args.object_lock,
        region=args.region,
        tags=args.tags,
        opts=pulumi.ResourceOptions(parent=parent, protect=args.protect or None),
    )
    versioning = s3.BucketVersioning(
        f"{name}-versioning",
        bucket=bucket.bucket,
        versioning_configuration={"status": "Enabled"},
        region=args.region,
        opts=child,
    )
    s3.BucketServerSideEncryptionConfiguration(
        f"{name}-encryption",
        bucket=bucket.bucket,
        rules=[_encryption(args.kms_key_arn)],
        region=args.region,
        opts=child,
    )
    s3.BucketPublicAccessBlock(
        f"{name}-private",
        bucket=bucket.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        region=args.region,
        opts=child,
    )
    s3.BucketOwnershipControls(
        f"{name}-ownership",
        bucket=bucket.bucket,
        rule={"object_ownership": "BucketOwnerEnforced"},
        region=args.region,
        opts=child,
    )
    s3.BucketLifecycleConfiguration(
        f"{name}-lifecycle",
        bucket=bucket.bucket,
        rules=[tidy(args.noncurrent_days), *args.rules],
        region=args.region,
        # Rules about older versions are refused while the bucket keeps none.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[versioning]),
    )
    return bucket


def _encryption(
    key: pulumi.Input[str] | None,
) -> s3.BucketServerSideEncryptionConfigurationRuleArgsDict:
    if key is None:
        return {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
    return {
        "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key},
        "bucket_key_enabled": True,  # one call to KMS for many objects
    }
