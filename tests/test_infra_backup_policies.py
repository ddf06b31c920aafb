"""What the roles of backup, restore and replication may do: every document whole."""

from __future__ import annotations

from typing import Any

from infra.backup_policies import (
    backup_policy,
    copy_key_policy,
    replication_policy,
    restore_policy,
    service_trust,
)
from infra.key_policies import ADMINISTER, ENCRYPT

ACCOUNT = "123456789012"
BUCKETS = ["arn:aws:s3:::data", "arn:aws:s3:::models"]
USE_KEY = {
    "Sid": "UseKey",
    "Effect": "Allow",
    "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
    "Resource": ["key"],
    "Condition": {
        "StringEquals": {
            "kms:ViaService": ["backup.eu-central-1.amazonaws.com", "s3.eu-central-1.amazonaws.com"]
        }
    },
}


def allow(sid: str, actions: list[str], *resources: str) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": list(resources)}


def test_backup_reads_two_buckets() -> None:
    assert backup_policy(BUCKETS, "key", "eu-central-1", ACCOUNT) == {
        "Version": "2012-10-17",
        "Statement": [
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
                *BUCKETS,
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
                "arn:aws:s3:::data/*",
                "arn:aws:s3:::models/*",
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
                "arn:aws:events:eu-central-1:123456789012:rule/AwsBackupManagedRule*",
            ),
            allow(
                "TagRecoveryPoints",
                ["backup:TagResource"],
                "arn:aws:backup:eu-central-1:123456789012:recovery-point:*",
            ),
            allow(
                "ActionsWithoutAResource",
                ["cloudwatch:GetMetricData", "events:ListRules", "s3:ListAllMyBuckets"],
                "*",
            ),
            USE_KEY,
        ],
    }


def test_restore_writes_two_buckets_and_those_of_a_test() -> None:
    assert restore_policy(BUCKETS, "key", "eu-central-1") == {
        "Version": "2012-10-17",
        "Statement": [
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
                *BUCKETS,
                "arn:aws:s3:::data-restored",
                "arn:aws:s3:::models-restored",
                "arn:aws:s3:::awsbackup-restore-test-*",
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
                "arn:aws:s3:::data/*",
                "arn:aws:s3:::models/*",
                "arn:aws:s3:::data-restored/*",
                "arn:aws:s3:::models-restored/*",
                "arn:aws:s3:::awsbackup-restore-test-*/*",
            ),
            USE_KEY,
        ],
    }


def test_replication_deletes_nowhere() -> None:
    made = replication_policy(
        "arn:aws:s3:::models", "arn:aws:s3:::copy", "key", "copy-key", "eu-central-1", "eu-west-1"
    )
    assert made == {
        "Version": "2012-10-17",
        "Statement": [
            allow("ReadSource", ["s3:GetReplicationConfiguration", "s3:ListBucket"], "arn:aws:s3:::models"),
            allow(
                "ReadVersions",
                [
                    "s3:GetObjectLegalHold",
                    "s3:GetObjectRetention",
                    "s3:GetObjectVersionAcl",
                    "s3:GetObjectVersionForReplication",
                    "s3:GetObjectVersionTagging",
                ],
                "arn:aws:s3:::models/*",
            ),
            allow("WriteCopies", ["s3:ReplicateObject", "s3:ReplicateTags"], "arn:aws:s3:::copy/*"),
            {
                **allow("ReadWithTheSourcesKey", ["kms:Decrypt"], "key"),
                "Condition": {"StringEquals": {"kms:ViaService": ["s3.eu-central-1.amazonaws.com"]}},
            },
            {
                **allow("WriteWithTheCopysKey", ["kms:Encrypt"], "copy-key"),
                "Condition": {"StringEquals": {"kms:ViaService": ["s3.eu-west-1.amazonaws.com"]}},
            },
        ],
    }


def test_a_role_is_taken_by_one_service_of_this_account() -> None:
    assert service_trust("backup", ACCOUNT) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Assume",
                "Effect": "Allow",
                "Principal": {"Service": "backup.amazonaws.com"},
                "Action": ["sts:AssumeRole"],
                "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
            }
        ],
    }


def test_the_copys_key_is_administered_and_used_by_the_account_alone() -> None:
    root = {"AWS": "arn:aws:iam::123456789012:root"}
    assert copy_key_policy(ACCOUNT) == {
        "Version": "2012-10-17",
        "Statement": [
            {**allow("Administer", list(ADMINISTER), "*"), "Principal": root},
            {**allow("UseThroughIam", list(ENCRYPT), "*"), "Principal": root},
        ],
    }
