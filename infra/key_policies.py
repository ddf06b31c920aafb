"""Who may administer and who may use the keys. Pure; in a key's policy the resource `*` means that key."""

from __future__ import annotations

from infra.policies import Document, Statement, document, grant

THIS_KEY = ["*"]

ADMINISTER = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
"""What an administrator does. Nothing here encrypts, decrypts or signs."""

ENCRYPT = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)

NOTIFIERS = {
    "Alarms": "cloudwatch.amazonaws.com",
    "Anomalies": "costalerts.amazonaws.com",
    "Backups": "backup.amazonaws.com",
    "Budgets": "budgets.amazonaws.com",
}
"""Services that send to the encrypted topic; without the key their messages are lost without a word."""


def auto_scaling_role(account_id: str, suffix: str = "") -> str:
    """Return the ARN of Auto Scaling's service-linked role; an empty suffix is the account's own one."""
    name = "AWSServiceRoleForAutoScaling" + (f"_{suffix}" if suffix else "")
    return f"arn:aws:iam::{account_id}:role/aws-service-role/autoscaling.amazonaws.com/{name}"


def data_key_policy(account_id: str, region: str, service_role: str) -> Document:
    """Return the policy of the key that encrypts buckets, volumes, logs and messages."""
    root, mine = _root(account_id), {"StringEquals": {"aws:SourceAccount": account_id}}
    for_volumes = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    log_groups = f"arn:aws:logs:{region}:{account_id}:log-group:*"
    return document(
        grant("Administer", root, ADMINISTER, THIS_KEY),
        # The account as principal lets IAM policies decide; by itself it lets no role use the key.
        grant("UseThroughIam", root, ENCRYPT, THIS_KEY),
        grant("GrantThroughIam", root, ["kms:CreateGrant"], THIS_KEY, for_volumes),
        # Auto Scaling starts nodes with encrypted volumes; without these two they end at once, in silence.
        grant("AutoScaling", {"AWS": service_role}, ENCRYPT, THIS_KEY),
        grant("AutoScalingVolumes", {"AWS": service_role}, ["kms:CreateGrant"], THIS_KEY, for_volumes),
        grant(
            "Logs",
            {"Service": f"logs.{region}.amazonaws.com"},
            ENCRYPT,
            THIS_KEY,
            {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
        ),
        *(_notifier(sid, service, mine) for sid, service in NOTIFIERS.items()),
    )


def signing_key_policy(account_id: str) -> Document:
    """Return the policy of the key that signs releases: the account administers, IAM says who signs."""
    root = _root(account_id)
    use = ["kms:Sign", "kms:Verify", "kms:GetPublicKey", "kms:DescribeKey"]
    return document(
        grant("Administer", root, ADMINISTER, THIS_KEY), grant("UseThroughIam", root, use, THIS_KEY)
    )


def _root(account_id: str) -> dict[str, str]:
    return {"AWS": f"arn:aws:iam::{account_id}:root"}


def _notifier(sid: str, service: str, condition: dict[str, dict[str, str]]) -> Statement:
    return grant(sid, {"Service": service}, ["kms:Decrypt", "kms:GenerateDataKey"], THIS_KEY, condition)
