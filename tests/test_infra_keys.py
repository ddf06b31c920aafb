"""The two keys as they are registered, with their policies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.keys import Keys, KeysArgs
from tests.mocks import ACCOUNT, REGION, Registered, only, record
from tests.policies import expected

ROLE = "aws:iam/serviceLinkedRole:ServiceLinkedRole"
TAGS = {"Project": "skylift"}


def keys_args(**changed: Any) -> KeysArgs:
    """Return the arguments of an example, some of them changed."""
    return KeysArgs(**({"account_id": ACCOUNT, "region": REGION, "tags": TAGS} | changed))


def keys(**changed: Any) -> dict[str, Registered]:
    """Register the keys, by name."""
    return {one.name: one for one in record(lambda: Keys("keys", keys_args(**changed)))}


def test_one_key_encrypts_and_is_rotated() -> None:
    """The data key: on, rotated, slow to go, its policy written."""
    made = keys()
    assert set(made) == {"keys", "keys-data", "keys-signing"}
    inputs = dict(made["keys-data"].inputs)
    assert json.loads(inputs.pop("policy")) == expected("key-data")
    assert inputs == {
        "description": "Encrypts the buckets, volumes, logs and messages of this stack",
        "enableKeyRotation": True,
        "isEnabled": True,
        "deletionWindowInDays": 30,
        "tags": TAGS,
    }


def test_the_other_key_signs() -> None:
    """The signing key: ECDSA on P-256, which AWS does not rotate."""
    inputs = dict(keys()["keys-signing"].inputs)
    assert json.loads(inputs.pop("policy")) == expected("key-signing")
    assert inputs == {
        "description": "Signs the releases of this stack",
        "keyUsage": "SIGN_VERIFY",
        "customerMasterKeySpec": "ECC_NIST_P256",
        "isEnabled": True,
        "deletionWindowInDays": 30,
        "tags": TAGS,
    }


@pytest.mark.parametrize("protect", [True, False])
def test_keys_are_protected_where_asked(protect: bool) -> None:
    """Both keys, and only where the setting says so."""
    made = keys(protect=protect)
    assert [made[name].options.get("protect", False) for name in ("keys-data", "keys-signing")] == [
        protect,
        protect,
    ]


def test_outputs_are_the_keys() -> None:
    """What other components read."""
    assert keys()["keys"].outputs == {
        "data_key_arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:keys-data",
        "data_key_id": "key-keys-data",
        "signing_key_arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:keys-signing",
        "service_role_arn": f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/"
        "AWSServiceRoleForAutoScaling",
    }


def test_a_service_role_of_the_stacks_own_is_admitted_instead() -> None:
    """With a suffix the role is made here, so that an account without any group can begin."""
    registered = record(lambda: Keys("keys", keys_args(service_role_suffix="skylift-dev")))
    role = only(registered, ROLE)
    assert role.inputs == {
        "awsServiceName": "autoscaling.amazonaws.com",
        "customSuffix": "skylift-dev",
        "description": "Auto Scaling of this stack, admitted by its data key",
        "tags": TAGS,
    }
    (data,) = [one for one in registered if one.name == "keys-data"]
    admitted = {
        statement["Principal"]["AWS"]
        for statement in json.loads(data.inputs["policy"])["Statement"]
        if statement["Sid"].startswith("AutoScaling")
    }
    assert admitted == {f"arn:aws:iam:{REGION}:{ACCOUNT}:keys-auto-scaling"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"deletion_days": 6}, "deletion_days must be between 7 and 30, got 6; leave it out for 30"),
        ({"deletion_days": 31}, "deletion_days must be between 7 and 30, got 31; leave it out for 30"),
        (
            {"service_role_suffix": "a b"},
            "service_role_suffix must have at most 35 letters, digits, `_`, `.` or `-`, got `a b`; shorten it",
        ),
        (
            {"service_role_suffix": "x" * 36},
            f"service_role_suffix must have at most 35 letters, digits, `_`, `.` or `-`, got `{'x' * 36}`; "
            "shorten it",
        ),
    ],
)
def test_wrong_arguments_are_refused(changed: dict[str, Any], message: str) -> None:
    """Field, rule, value, next step."""
    with pytest.raises(ValueError, match="must") as refused:
        keys_args(**changed)
    assert str(refused.value) == message
