"""Keys and those who send messages: whoever may publish to the encrypted topic can encrypt for it."""

from __future__ import annotations

from infra.key_policies import ADMINISTER, ENCRYPT, NOTIFIERS, auto_scaling_role
from infra.monitoring import SPEAKERS


def test_every_service_that_publishes_can_use_the_key() -> None:
    """Else its messages are lost without a word; and no service can that publishes nothing."""
    assert set(NOTIFIERS.values()) == {f"{service}.amazonaws.com" for service in SPEAKERS}


def test_administering_is_not_using() -> None:
    """No right of an administrator encrypts, decrypts, signs or gives such a right away."""
    assert set(ADMINISTER) & {*ENCRYPT, "kms:Sign", "kms:CreateGrant"} == {"kms:DescribeKey"}


def test_the_service_role_is_the_accounts_or_the_stacks_own() -> None:
    """As Auto Scaling names them."""
    folder = "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com"
    assert auto_scaling_role("123456789012") == f"{folder}/AWSServiceRoleForAutoScaling"
    assert auto_scaling_role("123456789012", "mine") == f"{folder}/AWSServiceRoleForAutoScaling_mine"
