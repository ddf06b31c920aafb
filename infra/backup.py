"""What outlives a mistake: daily backups in a locked vault, restores that are tried, a copy in a second region."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws.backup as backup
import pulumi_aws.iam as iam

from infra.backup_policies import backup_policy, restore_policy, service_trust
from infra.policies import Document, text
from infra.replication import ReplicationArgs, replicate

NIGHTLY = "cron(0 3 * * ? *)"
"""When a backup begins, UTC."""
MONTHLY = "cron(0 5 1 * ? *)"
"""When a restore is tried, UTC."""
FAILURES = ["BACKUP_JOB_FAILED", "BACKUP_JOB_EXPIRED", "RESTORE_JOB_FAILED", "S3_BACKUP_OBJECT_FAILED"]
"""What the topic is told."""


@dataclass(frozen=True, kw_only=True)
class BackupArgs:
    """What backups need."""

    data_bucket: pulumi.Input[str]
    """Name of the data sets' bucket."""
    data_bucket_arn: pulumi.Input[str]
    """Its ARN."""
    models_bucket: pulumi.Input[str]
    """Name of the releases' bucket."""
    models_bucket_arn: pulumi.Input[str]
    """Its ARN."""
    kms_key_arn: pulumi.Input[str]
    """Key of both buckets, and of the vault."""
    region: str
    """Where they are."""
    vault: bool = True
    """Whether AWS Backup copies data and releases into a vault. S3 must be opted in, once an account and region."""
    second_region: str = ""
    """Region of a second copy of the releases. Empty: none."""
    backup_days: int = 35
    """Days that a backup is kept: 1 and more, and no fewer than object_lock_days."""
    object_lock_days: int = 0
    """Days that a backup, and a copy in the second region, cannot be deleted. 0: the vault is not locked, and goes
    with the stack together with what it holds."""
    protect: bool = False
    """Whether Pulumi refuses to delete the copy in the second region and its key."""
    account_id: str
    """Of this account."""
    topic_arn: pulumi.Input[str] | None = None
    """Who is told of a failed backup or restore. None: nobody."""
    tags: Mapping[str, str]
    """Put on all that can have them."""

    def __post_init__(self) -> None:
        """Refuse what AWS would."""
        if self.second_region == self.region:
            raise ValueError(
                f"second_region must be another region than the stack's, got `{self.second_region}`; "
                "leave it empty for no second copy"
            )
        if self.backup_days < max(1, self.object_lock_days):
            raise ValueError(
                f"backup_days must be 1 and no fewer than object_lock_days {self.object_lock_days}, "
                f"got `{self.backup_days}`; a backup cannot end before its lock"
            )


class Backup(pulumi.ComponentResource):
    """Backups of data and releases, tried once a month; a second copy of the releases."""

    vault_name: pulumi.Output[str] | None
    """The vault, None where there is none."""
    copy_bucket: pulumi.Output[str] | None
    """Bucket in the second region, None where there is none."""

    def __init__(self, name: str, args: BackupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("skylift:index:Backup", name, None, opts)
        self.vault_name = self._vault(name, args) if args.vault else None
        self.copy_bucket = None
        if args.second_region:
            copied = ReplicationArgs(
                bucket=args.models_bucket,
                bucket_arn=args.models_bucket_arn,
                kms_key_arn=args.kms_key_arn,
                region=args.region,
                second_region=args.second_region,
                account_id=args.account_id,
                object_lock_days=args.object_lock_days,
                protect=args.protect,
                tags=args.tags,
            )
            self.copy_bucket = replicate(name, copied, self)
        self.register_outputs({"vaultName": self.vault_name, "copyBucket": self.copy_bucket})

    def _vault(self, name: str, args: BackupArgs) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self)
        vault = backup.Vault(
            f"{name}-vault",
            kms_key_arn=args.kms_key_arn,
            force_destroy=not args.object_lock_days,
            tags=args.tags,
            opts=child,
        )
        if args.object_lock_days:
            # Governance mode: without changeable_for_days, somebody with the right can still open the lock.
            backup.VaultLockConfiguration(
                f"{name}-vault-lock",
                backup_vault_name=vault.name,
                min_retention_days=args.object_lock_days,
                opts=child,
            )
        if args.topic_arn is not None:
            backup.VaultNotifications(
                f"{name}-failures",
                backup_vault_name=vault.name,
                sns_topic_arn=args.topic_arn,
                backup_vault_events=FAILURES,
                opts=child,
            )
        self._plan(name, args, vault)
        self._restore_test(name, args, vault)
        return vault.name

    def _plan(self, name: str, args: BackupArgs, vault: backup.Vault) -> None:
        child = pulumi.ResourceOptions(parent=self)
        plan = backup.Plan(
            f"{name}-plan",
            rules=[
                {
                    "rule_name": "nightly",
                    "target_vault_name": vault.name,
                    "schedule": NIGHTLY,
                    "start_window": 60,
                    "completion_window": 720,
                    "lifecycle": {"delete_after": args.backup_days},
                    "recovery_point_tags": args.tags,
                }
            ],
            tags=args.tags,
            opts=child,
        )
        role = self._role(
            f"{name}-role",
            args,
            lambda arns, key: backup_policy(arns, key, args.region, args.account_id),
        )
        backup.Selection(
            f"{name}-buckets",
            plan_id=plan.id,
            iam_role_arn=role,
            resources=[args.data_bucket_arn, args.models_bucket_arn],
            opts=child,
        )

    def _restore_test(self, name: str, args: BackupArgs, vault: backup.Vault) -> None:
        """Restore the releases once a month into a bucket of their own, which AWS Backup removes again."""
        child = pulumi.ResourceOptions(parent=self)
        plan = backup.RestoreTestingPlan(
            f"{name}-restore-test",
            name=underscored(f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}"),
            schedule_expression=MONTHLY,
            start_window_hours=24,
            recovery_point_selection={
                "algorithm": "LATEST_WITHIN_WINDOW",
                "include_vaults": [vault.arn],
                "recovery_point_types": ["SNAPSHOT"],
                "selection_window_days": 7,
            },
            tags=args.tags,
            opts=child,
        )
        role = self._role(
            f"{name}-restore-role", args, lambda arns, key: restore_policy(arns, key, args.region)
        )
        backup.RestoreTestingSelection(
            f"{name}-restore-test-releases",
            name="releases",
            restore_testing_plan_name=plan.name,
            iam_role_arn=role,
            protected_resource_type="S3",
            protected_resource_arns=[args.models_bucket_arn],  # the data may be terabytes
            validation_window_hours=4,
            opts=child,
        )

    def _role(
        self, name: str, args: BackupArgs, policy: Callable[[list[str], str], Document]
    ) -> pulumi.Output[str]:
        """Make a role of AWS Backup and return its ARN, once it may do what its policy says."""
        child = pulumi.ResourceOptions(parent=self)
        role = iam.Role(
            name,
            assume_role_policy=text(service_trust("backup", args.account_id)),
            tags=args.tags,
            opts=child,
        )
        arns = pulumi.Output.all(args.data_bucket_arn, args.models_bucket_arn, args.kms_key_arn)
        may = iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=arns.apply(lambda all_: text(policy(all_[:2], all_[2]))),
            opts=child,
        )
        return pulumi.Output.all(role.arn, may.id).apply(lambda both: str(both[0]))


def underscored(name: str) -> str:
    """Return a name that a restore testing plan may have: letters, digits and `_`, at most 50."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)[:50]
