"""Backups: the vault, the plan, the roles whole, and the restore that is tried."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.backup import Backup, BackupArgs
from infra.backup_policies import backup_policy, restore_policy, service_trust
from tests.mocks import Registered, of_type, only, record

TAGS = {"Stack": "dev"}
NEEDED: dict[str, Any] = {
    "data_bucket": "data",
    "data_bucket_arn": "arn:aws:s3:::data",
    "models_bucket": "models",
    "models_bucket_arn": "arn:aws:s3:::models",
    "kms_key_arn": "key",
    "region": "eu-central-1",
    "account_id": "123456789012",
    "tags": TAGS,
}
BUCKETS = ["arn:aws:s3:::data", "arn:aws:s3:::models"]
VAULT = "arn:aws:backup:eu-central-1:123456789012:safe-vault"


def made(**more: Any) -> list[Registered]:
    return record(lambda: Backup("safe", BackupArgs(**NEEDED, **more)))


def test_what_is_made_without_a_lock_and_a_second_region() -> None:
    registered = made()
    assert sorted(one.name for one in registered) == [
        "safe",
        "safe-buckets",
        "safe-plan",
        "safe-restore-role",
        "safe-restore-role-policy",
        "safe-restore-test",
        "safe-restore-test-releases",
        "safe-role",
        "safe-role-policy",
        "safe-vault",
    ]
    assert only(registered, "aws:backup/vault:Vault").inputs == {
        "kmsKeyArn": "key",
        "forceDestroy": True,
        "tags": TAGS,
    }
    assert only(registered, "skylift:index:Backup").outputs == {"vaultName": "safe-vault"}


def test_a_locked_vault_is_governed_and_not_emptied() -> None:
    registered = made(object_lock_days=7, topic_arn="topic")
    assert only(registered, "aws:backup/vault:Vault").inputs["forceDestroy"] is False
    lock = only(registered, "aws:backup/vaultLockConfiguration:VaultLockConfiguration").inputs
    assert lock == {"backupVaultName": "safe-vault", "minRetentionDays": 7}
    assert only(registered, "aws:backup/vaultNotifications:VaultNotifications").inputs == {
        "backupVaultName": "safe-vault",
        "snsTopicArn": "topic",
        "backupVaultEvents": [
            "BACKUP_JOB_FAILED",
            "BACKUP_JOB_EXPIRED",
            "RESTORE_JOB_FAILED",
            "S3_BACKUP_OBJECT_FAILED",
        ],
    }


def test_both_buckets_are_copied_every_night() -> None:
    registered = made(backup_days=90)
    assert only(registered, "aws:backup/plan:Plan").inputs == {
        "rules": [
            {
                "ruleName": "nightly",
                "targetVaultName": "safe-vault",
                "schedule": "cron(0 3 * * ? *)",
                "startWindow": 60,
                "completionWindow": 720,
                "lifecycle": {"deleteAfter": 90},
                "recoveryPointTags": TAGS,
            }
        ],
        "tags": TAGS,
    }
    assert only(registered, "aws:backup/selection:Selection").inputs == {
        "planId": "safe-plan-id",
        "iamRoleArn": "arn:aws:iam:eu-central-1:123456789012:safe-role",
        "resources": BUCKETS,
    }


def test_the_releases_restore_is_tried_every_month() -> None:
    registered = made()
    assert only(registered, "aws:backup/restoreTestingPlan:RestoreTestingPlan").inputs == {
        "name": "skylift_dev_safe",
        "scheduleExpression": "cron(0 5 1 * ? *)",
        "startWindowHours": 24,
        "recoveryPointSelection": {
            "algorithm": "LATEST_WITHIN_WINDOW",
            "includeVaults": [VAULT],
            "recoveryPointTypes": ["SNAPSHOT"],
            "selectionWindowDays": 7,
        },
        "tags": TAGS,
    }
    assert only(registered, "aws:backup/restoreTestingSelection:RestoreTestingSelection").inputs == {
        "name": "releases",
        "restoreTestingPlanName": "skylift_dev_safe",
        "iamRoleArn": "arn:aws:iam:eu-central-1:123456789012:safe-restore-role",
        "protectedResourceType": "S3",
        "protectedResourceArns": ["arn:aws:s3:::models"],
        "validationWindowHours": 4,
    }


def test_each_role_has_its_own_policy_and_only_the_service_takes_it() -> None:
    registered = made()
    assert {
        one.name: json.loads(one.inputs["assumeRolePolicy"])
        for one in of_type(registered, "aws:iam/role:Role")
    } == dict.fromkeys(("safe-role", "safe-restore-role"), service_trust("backup", "123456789012"))
    assert {
        one.name: json.loads(one.inputs["policy"])
        for one in of_type(registered, "aws:iam/rolePolicy:RolePolicy")
    } == {
        "safe-role-policy": backup_policy(BUCKETS, "key", "eu-central-1", "123456789012"),
        "safe-restore-role-policy": restore_policy(BUCKETS, "key", "eu-central-1"),
    }


def test_a_second_copy_alone_needs_no_vault() -> None:
    registered = made(vault=False, second_region="eu-west-1")
    assert {one.type.split("/")[0] for one in registered if one.type.startswith("aws:")} == {
        "aws:iam",
        "aws:kms",
        "aws:s3",
    }
    assert only(registered, "skylift:index:Backup").outputs == {"copyBucket": "safe-copy"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"second_region": "eu-central-1"},
            "second_region must be another region than the stack's, got `eu-central-1`; "
            "leave it empty for no second copy",
        ),
        (
            {"backup_days": 6, "object_lock_days": 7},
            "backup_days must be 1 and no fewer than object_lock_days 7, got `6`; a backup cannot end before its lock",
        ),
    ],
)
def test_what_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="must be") as refused:
        BackupArgs(**NEEDED, **wrong)
    assert str(refused.value) == message
