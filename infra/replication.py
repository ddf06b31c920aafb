"""A second copy of a bucket, in another region: written by S3 alone, kept when the first is emptied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws.iam as iam
import pulumi_aws.kms as kms
import pulumi_aws.s3 as s3

from infra.backup_policies import copy_key_policy, replication_policy, service_trust
from infra.bucket import BucketArgs, make_bucket
from infra.bucket_policies import private_bucket
from infra.policies import text


@dataclass(frozen=True, kw_only=True)
class ReplicationArgs:
    """What a copy needs."""

    bucket: pulumi.Input[str]
    """Name of the bucket that is copied; it has versions."""
    bucket_arn: pulumi.Input[str]
    """Its ARN."""
    kms_key_arn: pulumi.Input[str]
    """Key that its objects are encrypted with."""
    region: str
    """Where it is."""
    second_region: str
    """Where the copy is made."""
    account_id: str
    """Owns both."""
    object_lock_days: int
    """Days that nobody can delete a copy; 0: no such time."""
    noncurrent_days: int = 365
    """Days that overwritten copies are kept."""
    protect: bool = False
    """Whether Pulumi refuses to delete the copy and its key."""
    tags: Mapping[str, str]
    """Put on all that can have them."""


def replicate(name: str, args: ReplicationArgs, parent: pulumi.Resource) -> pulumi.Output[str]:
    """Copy a bucket's objects to a second region from now on, and return the copy's name.

    Deletions are not copied: what is deleted here, by mistake or in malice, is still there.
    """
    child = pulumi.ResourceOptions(parent=parent)
    key = kms.Key(
        f"{name}-copy-key",
        description="Skylift: the copy in the second region",
        policy=text(copy_key_policy(args.account_id)),
        enable_key_rotation=True,
        deletion_window_in_days=30,
        region=args.second_region,
        tags=args.tags,
        opts=pulumi.ResourceOptions(parent=parent, protect=args.protect or None),
    )
    copy = _bucket(name, args, key, parent)
    role = iam.Role(
        f"{name}-replication-role",
        assume_role_policy=text(service_trust("s3", args.account_id)),
        tags=args.tags,
        opts=child,
    )
    may = iam.RolePolicy(
        f"{name}-replication-policy",
        role=role.name,
        policy=pulumi.Output.all(args.bucket_arn, copy.arn, args.kms_key_arn, key.arn).apply(
            lambda all_: text(
                replication_policy(all_[0], all_[1], all_[2], all_[3], args.region, args.second_region)
            )
        ),
        opts=child,
    )
    s3.BucketReplicationConfig(
        f"{name}-replication",
        bucket=args.bucket,
        role=role.arn,
        rules=[
            {
                "id": "second-region",
                "status": "Enabled",
                "priority": 1,
                "filter": {"prefix": ""},
                "delete_marker_replication": {"status": "Disabled"},
                "source_selection_criteria": {"sse_kms_encrypted_objects": {"status": "Enabled"}},
                "destination": {
                    "bucket": copy.arn,
                    "encryption_configuration": {"replica_kms_key_id": key.arn},
                    "storage_class": "STANDARD_IA",
                },
            }
        ],
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[may]),
    )
    return copy.bucket


def _bucket(name: str, args: ReplicationArgs, key: kms.Key, parent: pulumi.Resource) -> s3.Bucket:
    """Make the copy's bucket: as every other of ours, with Object Lock as its source has."""
    child = pulumi.ResourceOptions(parent=parent)
    copy = make_bucket(
        f"{name}-copy",
        BucketArgs(
            kms_key_arn=key.arn,
            noncurrent_days=args.noncurrent_days,
            object_lock=True,
            protect=args.protect,
            region=args.second_region,
            tags=args.tags,
        ),
        parent,
    )
    s3.BucketPolicy(
        f"{name}-copy-policy",
        bucket=copy.bucket,
        policy=pulumi.Output.all(copy.arn, key.arn).apply(lambda both: text(private_bucket(*both))),
        region=args.second_region,
        opts=child,
    )
    if args.object_lock_days:
        s3.BucketObjectLockConfiguration(
            f"{name}-copy-lock",
            bucket=copy.bucket,
            rule={"default_retention": {"mode": "GOVERNANCE", "days": args.object_lock_days}},
            region=args.second_region,
            opts=child,
        )
    return copy
