"""The two keys of a stack: one encrypts all that is stored, one signs releases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws.iam as iam
import pulumi_aws.kms as kms

from infra.key_policies import auto_scaling_role, data_key_policy, signing_key_policy
from infra.policies import text

SUFFIX = re.compile(r"[A-Za-z0-9_.-]{0,35}")
"""Of a service-linked role's name: 64 characters less `AWSServiceRoleForAutoScaling_`."""


@dataclass(frozen=True, kw_only=True)
class KeysArgs:
    """How the keys are kept."""

    account_id: str
    """The account, 12 digits: its administrators administer the keys."""
    region: str
    """The stack's region: its log service may use the data key."""
    deletion_days: int = 30
    """Days between asking for a key's deletion and its end. Range 7..30."""
    protect: bool = False
    """Refuse to delete the keys until this is off: what they encrypted is lost with them."""
    service_role_suffix: str = ""
    """Make Auto Scaling a service role of this stack's own, named so; at most 35 characters. Empty: the account's
    own role, which must exist (AWS makes it with an account's first group)."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags put on every child."""

    def __post_init__(self) -> None:
        """Refuse what KMS or IAM would refuse."""
        if not 7 <= self.deletion_days <= 30:
            raise ValueError(
                f"deletion_days must be between 7 and 30, got {self.deletion_days}; leave it out for 30"
            )
        if not SUFFIX.fullmatch(self.service_role_suffix):
            raise ValueError(
                f"service_role_suffix must have at most 35 letters, digits, `_`, `.` or `-`, "
                f"got `{self.service_role_suffix}`; shorten it"
            )


class Keys(pulumi.ComponentResource):
    """KMS keys with written policies; the one that encrypts is rotated every year."""

    data_key_arn: pulumi.Output[str]
    """Key of buckets, volumes, logs and messages."""
    data_key_id: pulumi.Output[str]
    """The same key's id."""
    signing_key_arn: pulumi.Output[str]
    """Key that signs releases: ECDSA on P-256, SHA-256."""
    service_role_arn: pulumi.Output[str]
    """Auto Scaling's service-linked role that the data key admits."""

    def __init__(self, name: str, args: KeysArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("skylift:index:Keys", name, None, opts)
        kept = pulumi.ResourceOptions(parent=self, protect=args.protect or None)
        self.service_role_arn = self._service_role(name, args)
        data = kms.Key(
            f"{name}-data",
            description="Encrypts the buckets, volumes, logs and messages of this stack",
            enable_key_rotation=True,
            is_enabled=True,
            deletion_window_in_days=args.deletion_days,
            policy=self.service_role_arn.apply(
                lambda role: text(data_key_policy(args.account_id, args.region, role))
            ),
            tags=args.tags,
            opts=kept,
        )
        signing = kms.Key(
            f"{name}-signing",
            description="Signs the releases of this stack",
            key_usage="SIGN_VERIFY",
            customer_master_key_spec="ECC_NIST_P256",  # AWS does not rotate asymmetric keys
            is_enabled=True,
            deletion_window_in_days=args.deletion_days,
            policy=text(signing_key_policy(args.account_id)),
            tags=args.tags,
            opts=kept,
        )
        self.data_key_arn, self.data_key_id, self.signing_key_arn = data.arn, data.key_id, signing.arn
        self.register_outputs(
            {
                "data_key_arn": self.data_key_arn,
                "data_key_id": self.data_key_id,
                "signing_key_arn": self.signing_key_arn,
                "service_role_arn": self.service_role_arn,
            }
        )

    def _service_role(self, name: str, args: KeysArgs) -> pulumi.Output[str]:
        if not args.service_role_suffix:
            return pulumi.Output.from_input(auto_scaling_role(args.account_id))
        role = iam.ServiceLinkedRole(
            f"{name}-auto-scaling",
            aws_service_name="autoscaling.amazonaws.com",
            custom_suffix=args.service_role_suffix,
            description="Auto Scaling of this stack, admitted by its data key",
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return role.arn
