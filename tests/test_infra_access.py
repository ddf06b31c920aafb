"""The roles of nodes as they are registered: whose they are, what they hold, and what waits for what."""

from __future__ import annotations

import functools
import json
from collections import Counter

import pytest

from infra.access import Access, AccessArgs
from tests.mocks import ACCOUNT, REGION, Registered, record
from tests.policies import PLACES, expected

TAGS = {"Project": "skylift"}


@functools.cache
def access() -> dict[str, Registered]:
    """Register the roles of the example account, by name."""
    args = AccessArgs(
        account_id=PLACES.account_id,
        region=PLACES.region,
        data_bucket_arn=PLACES.data,
        work_bucket_arn=PLACES.work,
        models_bucket_arn=PLACES.models,
        kms_key_arn=PLACES.data_key,
        signing_key_arn=PLACES.signing_key,
        model_name=PLACES.model_name,
        train_group_name=PLACES.train_group,
        serve_group_name=PLACES.serve_group,
        target_group_arn=PLACES.target_group,
        train_log_group=PLACES.train_log_group,
        serve_log_group=PLACES.serve_log_group,
        metrics_namespace=PLACES.metrics_namespace,
        tags=TAGS,
    )
    return {one.name: one for one in record(lambda: Access("access", args))}


def test_a_role_a_room() -> None:
    """Exact counts: no third role, no user, no key."""
    assert Counter(one.type for one in access().values()) == Counter(
        {
            "skylift:index:Access": 1,
            "aws:iam/role:Role": 2,
            "aws:iam/rolePolicy:RolePolicy": 2,
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment": 2,
            "aws:iam/instanceProfile:InstanceProfile": 2,
        }
    )


@pytest.mark.parametrize(("room", "title"), [("train", "Training"), ("serve", "Serving")])
def test_a_role_holds_its_policy_and_session_manager(room: str, title: str) -> None:
    """Taken by EC2 alone; its document is the reviewed one; no managed policy but Session Manager's."""
    made = access()
    role = dict(made[f"access-{room}"].inputs)
    assert json.loads(role.pop("assumeRolePolicy")) == expected("trust-nodes")
    assert role == {"description": f"{title} nodes of Skylift", "tags": TAGS}
    policy = made[f"access-{room}-policy"].inputs
    assert policy["role"] == f"access-{room}"
    assert json.loads(policy["policy"]) == expected(f"role-{room}")
    assert made[f"access-{room}-session"].inputs == {
        "role": f"access-{room}",
        "policyArn": "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
    }
    assert made[f"access-{room}-profile"].inputs == {"role": f"access-{room}", "tags": TAGS}


@pytest.mark.parametrize("room", ["train", "serve"])
def test_a_profile_waits_for_its_policies(room: str) -> None:
    """A node that boots before them would be refused everything."""
    waits = access()[f"access-{room}-profile"].options["dependencies"]
    assert {urn.rpartition("::")[2] for urn in waits} == {
        f"access-{room}",
        f"access-{room}-policy",
        f"access-{room}-session",
    }


def test_outputs_are_roles_and_profiles() -> None:
    """What launch templates and pictures read."""
    prefix = f"arn:aws:iam:{REGION}:{ACCOUNT}"
    assert access()["access"].outputs == {
        "train_profile_arn": f"{prefix}:access-train-profile",
        "serve_profile_arn": f"{prefix}:access-serve-profile",
        "train_role_arn": f"{prefix}:access-train",
        "serve_role_arn": f"{prefix}:access-serve",
    }
