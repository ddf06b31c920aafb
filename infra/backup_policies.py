"""What the roles of backup, restore and replication may do. Pure.

The first two are AWS's own AWSBackupServiceRolePolicyForS3Backup and …S3Restore, narrowed to this stack's buckets, key
and region.
"""

from __future__ import annotations

from collections.abc import Sequence

from infra.key_policies import ADMINISTER, ENCRYPT, THIS_KEY
from infra.policies import Document, Statement, allow, document, grant, trust

TEST_BUCKETS = "arn:aws:s3:::awsbackup-restore-test-*"
"""Buckets that a restore test makes and AWS Backup removes again."""


def backup_policy(bucket_arns: Sequence[str], kms_key_arn: str, region: str, account_id: str) -> Document:
    """Return what the role that makes backups may do: read the buckets, whole, and be told of changes."""
    return document(
        allow(
            "ReadBuckets",
            [
                "s3:GetBucketAcl",
                "s3:GetBucketLocation",
                "s3:GetBucketNotification",
                "s3:GetBucketTagging",
                "s3:GetBucketVersioning",
                "s3:GetInventoryConfiguration",
                "s3:ListBucket",
                "s3:ListBucketVersions",
                "s3:PutBucketNotification",
                "s3:PutInventoryConfiguration",
            ],
            bucket_arns,
        ),
        allow(
            "ReadObjects",
            [
                "s3:GetObject",
                "s3:GetObjectAcl",
                "s3:GetObjectTagging",
                "s3:GetObjectVersion",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionTagging",
            ],
            [f"{arn}/*" for arn in bucket_arns],
        ),
        allow(
            "SeeChanges",
            [
                "events:DeleteRule",
                "events:DescribeRule",
                "events:DisableRule",
                "events:EnableRule",
                "events:ListTargetsByRule",
                "events:PutRule",
                "events:PutTargets",
                "events:RemoveTargets",
            ],
            [f"arn:aws:events:{region}:{account_id}:rule/AwsBackupManagedRule*"],
        ),
        allow(
            "TagRecoveryPoints",
            ["backup:TagResource"],
            [f"arn:aws:backup:{region}:{account_id}:recovery-point:*"],
        ),
        allow(
            "ActionsWithoutAResource",
            ["cloudwatch:GetMetricData", "events:ListRules", "s3:ListAllMyBuckets"],
            ["*"],
        ),
        use_key("UseKey", kms_key_arn, region, ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]),
    )


def restore_policy(bucket_arns: Sequence[str], kms_key_arn: str, region: str) -> Document:
    """Return what the role that restores may do: write to the stack's buckets, beside them, and to a test's.

    A release's manifest cannot be written twice, so releases are restored into a bucket beside theirs, of its name
    and `-restored`.
    """
    buckets = [*bucket_arns, *(f"{arn}-restored" for arn in bucket_arns), TEST_BUCKETS]
    return document(
        allow(
            "PrepareBuckets",
            [
                "s3:CreateBucket",
                "s3:GetBucketLocation",
                "s3:GetBucketOwnershipControls",
                "s3:GetBucketVersioning",
                "s3:ListBucket",
                "s3:ListBucketVersions",
                "s3:PutBucketOwnershipControls",
                "s3:PutBucketVersioning",
            ],
            buckets,
        ),
        allow(
            "WriteObjects",
            [
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:GetObjectAcl",
                "s3:GetObjectTagging",
                "s3:GetObjectVersion",
                "s3:GetObjectVersionAcl",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
                "s3:PutObjectAcl",
                "s3:PutObjectTagging",
                "s3:PutObjectVersionAcl",
            ],
            [f"{arn}/*" for arn in buckets],
        ),
        use_key("UseKey", kms_key_arn, region, ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]),
    )


def replication_policy(
    source_arn: str, copy_arn: str, source_key_arn: str, copy_key_arn: str, region: str, second_region: str
) -> Document:
    """Return what S3 may do to copy a bucket into another region: read there, write here, delete nowhere."""
    return document(
        allow("ReadSource", ["s3:GetReplicationConfiguration", "s3:ListBucket"], [source_arn]),
        allow(
            "ReadVersions",
            [
                "s3:GetObjectLegalHold",
                "s3:GetObjectRetention",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionTagging",
            ],
            [f"{source_arn}/*"],
        ),
        allow("WriteCopies", ["s3:ReplicateObject", "s3:ReplicateTags"], [f"{copy_arn}/*"]),
        use_key("ReadWithTheSourcesKey", source_key_arn, region, ["kms:Decrypt"], services=("s3",)),
        use_key("WriteWithTheCopysKey", copy_key_arn, second_region, ["kms:Encrypt"], services=("s3",)),
    )


def use_key(
    sid: str,
    key_arn: str,
    region: str,
    kms_actions: Sequence[str],
    services: Sequence[str] = ("backup", "s3"),
) -> Statement:
    """Return a statement: use a key, through these services alone."""
    through = [f"{service}.{region}.amazonaws.com" for service in services]
    return allow(sid, kms_actions, [key_arn], {"StringEquals": {"kms:ViaService": through}})


def service_trust(service: str, account_id: str) -> Document:
    """Return who may take a role: one service of AWS, on behalf of this account alone."""
    return trust(f"{service}.amazonaws.com", {"StringEquals": {"aws:SourceAccount": account_id}})


def copy_key_policy(account_id: str) -> Document:
    """Return the policy of the copy's key: the account administers, its roles' policies say who uses it."""
    root = {"AWS": f"arn:aws:iam::{account_id}:root"}
    return document(
        grant("Administer", root, ADMINISTER, THIS_KEY), grant("UseThroughIam", root, ENCRYPT, THIS_KEY)
    )
