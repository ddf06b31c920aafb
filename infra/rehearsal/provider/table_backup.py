"""Rows of backup: the vault is emulated; plans, selections and tests of restoring are recorded."""

from __future__ import annotations

from collections.abc import Mapping

from infra.rehearsal.provider.row import Row
from infra.rehearsal.provider.tags import by_arn

ROWS: Mapping[str, Row] = {
    "aws:backup/vault:Vault": Row(
        service="backup",
        create="create_backup_vault",
        read="describe_backup_vault",
        delete="delete_backup_vault",
        id="inputs.name",
        address={"BackupVaultName": "inputs.name"},
        names={"name": "BackupVaultName", "kmsKeyArn": "EncryptionKeyArn"},
        outputs={"arn": "found.BackupVaultArn", "recoveryPoints": "found.NumberOfRecoveryPoints"},
        named="name",
        name_limit=50,
        replace=("name",),
        local=("forceDestroy",),
        tagging=by_arn("ResourceArn", show="list_tags"),
    ),
    "aws:backup/vaultLockConfiguration:VaultLockConfiguration": Row(
        service="backup",
        create="put_backup_vault_lock_configuration",
        update=("put_backup_vault_lock_configuration",),
        read="describe_backup_vault",
        delete="delete_backup_vault_lock_configuration",
        id="inputs.backupVaultName",
        address={"BackupVaultName": "inputs.backupVaultName"},
        outputs={"backupVaultArn": "found.BackupVaultArn"},
        replace=("backupVaultName",),
    ),
    "aws:backup/vaultNotifications:VaultNotifications": Row(
        service="backup",
        kind="recorded",
        create="put_backup_vault_notifications",
        update=("put_backup_vault_notifications",),
        id="inputs.backupVaultName",
        address={"BackupVaultName": "inputs.backupVaultName"},
        names={"snsTopicArn": "SNSTopicArn"},
        replace=("backupVaultName",),
    ),
    "aws:backup/plan:Plan": Row(
        service="backup",
        kind="recorded",
        create="create_backup_plan",
        update=("update_backup_plan",),
        id="answer.Recorded",
        names={
            "name": "BackupPlan.BackupPlanName",
            "rules": "BackupPlan.Rules",
            "rules.targetVaultName": "TargetBackupVaultName",
            "rules.schedule": "ScheduleExpression",
            "rules.startWindow": "StartWindowMinutes",
            "rules.completionWindow": "CompletionWindowMinutes",
            "rules.lifecycle.deleteAfter": "DeleteAfterDays",
            "rules.lifecycle.coldStorageAfter": "MoveToColdStorageAfterDays",
            "tags": "BackupPlanTags",
        },
        outputs={"arn": "join('', ['arn:aws:backup:', region, ':', account, ':backup-plan:', id])"},
        named="name",
        name_limit=50,
    ),
    "aws:backup/selection:Selection": Row(
        service="backup",
        kind="recorded",
        create="create_backup_selection",
        id="answer.Recorded",
        names={
            "planId": "BackupPlanId",
            "name": "BackupSelection.SelectionName",
            "iamRoleArn": "BackupSelection.IamRoleArn",
            "resources": "BackupSelection.Resources",
        },
        named="name",
        name_limit=50,
    ),
    "aws:backup/restoreTestingPlan:RestoreTestingPlan": Row(
        service="backup",
        kind="recorded",
        create="create_restore_testing_plan",
        update=("update_restore_testing_plan",),
        id="inputs.name",
        names={
            "name": "RestoreTestingPlan.RestoreTestingPlanName",
            "recoveryPointSelection": "RestoreTestingPlan.RecoveryPointSelection",
            "scheduleExpression": "RestoreTestingPlan.ScheduleExpression",
            "startWindowHours": "RestoreTestingPlan.StartWindowHours",
        },
        outputs={"arn": "join('', ['arn:aws:backup:', region, ':', account, ':restore-testing-plan:', id])"},
        replace=("name",),
    ),
    "aws:backup/restoreTestingSelection:RestoreTestingSelection": Row(
        service="backup",
        kind="recorded",
        create="create_restore_testing_selection",
        update=("update_restore_testing_selection",),
        id="join(':', [inputs.restoreTestingPlanName, inputs.name])",
        names={
            "restoreTestingPlanName": "RestoreTestingPlanName",
            "name": "RestoreTestingSelection.RestoreTestingSelectionName",
            "iamRoleArn": "RestoreTestingSelection.IamRoleArn",
            "protectedResourceType": "RestoreTestingSelection.ProtectedResourceType",
            "protectedResourceArns": "RestoreTestingSelection.ProtectedResourceArns",
            "validationWindowHours": "RestoreTestingSelection.ValidationWindowHours",
        },
        replace=("name", "restoreTestingPlanName"),
    ),
}
