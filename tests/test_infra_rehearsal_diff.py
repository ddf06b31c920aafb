"""In place or anew: derived from what AWS's calls take, corrected by rows."""

from __future__ import annotations

from typing import Any

import pytest

from infra.rehearsal.provider.clients import Clients
from infra.rehearsal.provider.diff import Difference, difference
from infra.rehearsal.provider.naming import with_name
from infra.rehearsal.provider.properties import DEFAULTS, UNKNOWN
from infra.rehearsal.provider.table import TABLE, UnknownTypeError, row_of
from tests.stacks import STACKS, recorded

URN = "urn:pulumi:dev::skylift::aws:iam/role:Role::nodes"


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Clients:
    """Clients that are asked for shapes alone."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    return Clients("eu-central-1")


def between(clients: Clients, token: str, old: dict[str, Any], new: dict[str, Any]) -> Difference:
    """Return the difference of two sets of inputs of a type."""
    return difference(row_of(token), clients, "eu-central-1", old, new)


@pytest.mark.parametrize(
    ("token", "name", "old", "new", "replaced"),
    [
        ("aws:ec2/vpc:Vpc", "cidrBlock", "10.0.0.0/16", "10.1.0.0/16", True),
        ("aws:ec2/vpc:Vpc", "tags", {"a": "b"}, {"a": "c"}, False),
        ("aws:ec2/vpc:Vpc", "enableDnsSupport", True, False, False),
        ("aws:ec2/subnet:Subnet", "availabilityZone", "a", "b", True),
        ("aws:autoscaling/group:Group", "maxSize", 1, 2, False),
        ("aws:autoscaling/group:Group", "mixedInstancesPolicy", {"a": "1"}, {"a": UNKNOWN}, False),
        ("aws:autoscaling/group:Group", "name", "a", "b", True),
        ("aws:ec2/launchTemplate:LaunchTemplate", "userData", "YQ==", "Yg==", False),
        ("aws:lb/targetGroup:TargetGroup", "port", 80, 81, True),
        ("aws:lb/targetGroup:TargetGroup", "healthCheck", {"path": "/a"}, {"path": "/b"}, False),
        ("aws:lb/loadBalancer:LoadBalancer", "internal", True, False, True),
        ("aws:kms/key:Key", "policy", "{}", '{"a": 1}', False),
        ("aws:kms/key:Key", "customerMasterKeySpec", "SYMMETRIC_DEFAULT", "ECC_NIST_P256", True),
        ("aws:s3/bucketPolicy:BucketPolicy", "policy", "{}", '{"a": 1}', False),
        ("aws:s3/bucketPolicy:BucketPolicy", "bucket", "a", "b", True),
        ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "policyArn", "a", "b", True),
        ("aws:s3/bucket:Bucket", "region", "eu-central-1", "us-west-2", True),
    ],
)
def test_in_place_or_anew(
    clients: Clients, token: str, name: str, old: object, new: object, replaced: bool
) -> None:
    """One changed property each."""
    found = between(clients, token, {name: old}, {name: new})
    assert (found.changed, bool(found.replaces)) == ((name,), replaced)


def test_what_says_the_same_is_no_change(clients: Clients) -> None:
    """Nothing and no entries, a number and its text."""
    old = {"cidrBlock": "10.0.0.0/16", "tags": {}, "enableDnsSupport": True, DEFAULTS: ["x"]}
    assert between(clients, "aws:ec2/vpc:Vpc", old, {**old, "tags": None, DEFAULTS: []}).changed == ()


def test_the_same_name_twice_means_deleting_first(clients: Clients) -> None:
    """A name that the program gave cannot be had twice; one that we made up is made up anew."""
    old, new = {"name": "nodes", "path": "/a/"}, {"name": "nodes", "path": "/b/"}
    assert between(clients, "aws:iam/role:Role", old, new).delete_first is True
    made = {DEFAULTS: ["name"]}
    assert between(clients, "aws:iam/role:Role", {**old, **made}, {**new, **made}).delete_first is False


def test_a_name_is_kept_and_another_follows_from_what_is_asked_for() -> None:
    """An `up` that was killed asks again for the same name; a replacement asks for another."""
    row = row_of("aws:iam/role:Role")
    first = with_name(row, URN, {"path": "/a/"}, None)
    assert first == with_name(row, URN, {"path": "/a/"}, None)
    assert first["name"].startswith("nodes-")
    assert first[DEFAULTS] == ["name"]
    assert with_name(row, URN, {"path": "/b/"}, first)["name"] == first["name"]
    assert with_name(row, URN, {"path": "/b/"}, None)["name"] != first["name"]
    assert with_name(row, URN, {"name": "mine"}, first) == {"name": "mine"}


def test_a_type_that_is_in_no_row_is_named() -> None:
    """Loudly, and with where to add it."""
    with pytest.raises(UnknownTypeError, match=r"got `aws:x/y:Z`; add a row to infra/rehearsal/provider"):
        row_of("aws:x/y:Z")


@pytest.mark.parametrize("stack", STACKS)
def test_every_type_of_a_stack_has_a_row(stack: str) -> None:
    """A row that is missing is found here, before an engine is started."""
    asked = {one.type for one in recorded(stack).resources if one.type.startswith("aws:")}
    assert asked - set(TABLE) == set()


def test_rows_say_what_stands_behind_them() -> None:
    """What is only recorded is listed here, so that nobody takes it for more."""
    assert sorted(token.split(":")[-1] for token, row in TABLE.items() if row.kind == "recorded") == [
        "Budget",
        "PlacementGroup",
        "Plan",
        "RestoreTestingPlan",
        "RestoreTestingSelection",
        "Selection",
        "VaultNotifications",
    ]
