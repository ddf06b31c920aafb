"""What the roles of backup, restore and replication may do. Pure.

The first two are AWS's own AWSBackupServiceRolePolicyForS3Backup and …S3Restore, narrowed to this stack's buckets, key
and region.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

TEST_BUCKETS = "arn:aws:s3:::awsbackup-restore-test-*"
"""Buckets that a restore test makes and AWS Backup removes again."""


def trust(service: str, account_id: str) -> dict[str, Any]:
    """Return who may take a role: one service of AWS, on behalf of this account alone."""
    return document(
        {
            "Sid": "ServiceOfThisAccount",
            "Effect": "Allow",
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
        }
    )


def backup_policy(
    bucket_arns: Sequence[str], kms_key_arn: str, region: str, account_id: str
) -> dict[str, Any]:
    """Return what the role that makes backups may do: read the buckets, whole, and be told of changes."""
    return document(
        {
            "Sid": "ReadBuckets",
            "Effect": "Allow",
            "Action": [
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
            "Resource": list(bucket_arns),
        },
        {
            "Sid": "ReadObjects",
            "Effect": "Allow",
            "Action": [
                "s3:GetObject",
                "s3:GetObjectAcl",
                "s3:GetObjectTagging",
                "s3:GetObjectVersion",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionTagging",
            ],
            "Resource": [f"{arn}/*" for arn in bucket_arns],
        },
        {
            "Sid": "SeeChanges",
            "Effect": "Allow",
            "Action": [
                "events:DeleteRule",
                "events:DescribeRule",
                "events:DisableRule",
                "events:EnableRule",
                "events:ListTargetsByRule",
                "events:PutRule",
                "events:PutTargets",
                "events:RemoveTargets",
            ],
            "Resource": f"arn:aws:events:{region}:{account_id}:rule/AwsBackupManagedRule*",
        },
        {
            "Sid": "TagRecoveryPoints",
            "Effect": "Allow",
            "Action": "backup:TagResource",
            "Resource": f"arn:aws:backup:{region}:{account_id}:recovery-point:*",
        },
        {
            "Sid": "ActionsWithoutAResource",
            "Effect": "Allow",
            "Action": ["cloudwatch:GetMetricData", "events:ListRules", "s3:ListAllMyBuckets"],
            "Resource": "*",
        },
        use_key("UseKey", kms_key_arn, region, ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]),
    )


def restore_policy(bucket_arns: Sequence[str], kms_key_arn: str, region: str) -> dict[str, Any]:
    """Return what the role that restores may do: write to the stack's buckets, and to those that a test makes."""
    buckets = [*bucket_arns, TEST_BUCKETS]
    return document(
        {
            "Sid": "PrepareBuckets",
            "Effect": "Allow",
            "Action": [
                "s3:CreateBucket",
                "s3:GetBucketLocation",
                "s3:GetBucketOwnershipControls",
                "s3:GetBucketVersioning",
                "s3:ListBucket",
                "s3:ListBucketVersions",
                "s3:PutBucketOwnershipControls",
                "s3:PutBucketVersioning",
            ],
            "Resource": buckets,
        },
        {
            "Sid": "WriteObjects",
            "Effect": "Allow",
            "Action": [
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
            "Resource": [f"{arn}/*" for arn in buckets],
        },
        use_key("UseKey", kms_key_arn, region, ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]),
    )


def replication_policy(
    source_arn: str, copy_arn: str, source_key_arn: str, copy_key_arn: str, region: str, second_region: str
) -> dict[str, Any]:
    """Return what S3 may do to copy a bucket into another region: read there, write here, delete nowhere."""
    return document(
        {
            "Sid": "ReadSource",
            "Effect": "Allow",
            "Action": ["s3:GetReplicationConfiguration", "s3:ListBucket"],
            "Resource": source_arn,
        },
        {
            "Sid": "ReadVersions",
            "Effect": "Allow",
            "Action": [
                "s3:GetObjectLegalHold",
                "s3:GetObjectRetention",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionTagging",
            ],
            "Resource": f"{source_arn}/*",
        },
        {
            "Sid": "WriteCopies",
            "Effect": "Allow",
            "Action": ["s3:ReplicateObject", "s3:ReplicateTags"],
            "Resource": f"{copy_arn}/*",
        },
        use_key("ReadWithTheSourcesKey", source_key_arn, region, ["kms:Decrypt"], services=("s3",)),
        use_key("WriteWithTheCopysKey", copy_key_arn, second_region, ["kms:Encrypt"], services=("s3",)),
    )


def use_key(
    sid: str,
    key_arn: str,
    region: str,
    kms_actions: Sequence[str],
    services: Sequence[str] = ("backup", "s3"),
) -> dict[str, Any]:
    """Return a statement: use a key, through these services alone."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(kms_actions),
        "Resource": key_arn,
        "Condition": {
            "StringEquals": {"kms:ViaService": [f"{service}.{region}.amazonaws.com" for service in services]}
        },
    }


def tls_only(bucket_arn: str) -> dict[str, Any]:
    """Return a bucket's policy that refuses what comes without TLS."""
    return document(
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [bucket_arn, f"{bucket_arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )


def owned_key(account_id: str) -> dict[str, Any]:
    """Return a key's policy: the account owns it, and its roles' policies say who uses it."""
    return document(
        {
            "Sid": "AccountOwnsTheKey",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    )


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    """Return a policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}
