"""Contracts over the whole program, both example stacks: who may reach what, and who may do what."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.mocks import Registered, of_type
from tests.stacks import STACKS, recorded

ANYWHERE = {"0.0.0.0/0", "::/0"}
EXCEPTIONS = {
    ("keys-data", "*"): "a key's policy is about that key: `*` names nothing else",
    ("keys-signing", "*"): "a key's policy is about that key: `*` names nothing else",
    ("backup-copy-key", "*"): "a key's policy is about that key: `*` names nothing else",
    ("network-s3", "OwnBuckets"): "the door to S3 is narrowed to this account's principals and buckets",
    ("network-to-", "OwnAccount"): "a door to a service lists its calls, for this account's principals alone",
    ("access-train-policy", "SeeMembers"): "EC2 and Auto Scaling know no resources for Describe calls",
    (
        "access-serve-policy",
        "SeeMembers",
    ): "Auto Scaling and load balancing know no resources for Describe calls",
    ("access-train-policy", "Metrics"): "PutMetricData knows no resources; it is held to one namespace",
    ("access-serve-policy", "Metrics"): "PutMetricData knows no resources; it is held to one namespace",
    ("backup-role-policy", "ActionsWithoutAResource"): "reading metrics and events knows no resources",
}
"""Allowed statements on resource `*`: resource and statement -> why nothing narrower exists."""
SERVICE_ROLES = {
    "access-train": "ec2.amazonaws.com",
    "access-serve": "ec2.amazonaws.com",
    "network-flow-role": "vpc-flow-logs.amazonaws.com",
    "backup-role": "backup.amazonaws.com",
    "backup-restore-role": "backup.amazonaws.com",
    "backup-replication-role": "s3.amazonaws.com",
}
MANAGED = {"arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"}
"""The only policy that is not our own: Session Manager, on both kinds of nodes."""


def statements(one: Registered) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every statement of a resource's policy documents, with the input that holds it."""
    for key, value in one.inputs.items():
        if isinstance(value, str) and '"Statement"' in value:
            for statement in json.loads(value)["Statement"]:
                yield key, statement


def listed(value: str | list[str]) -> list[str]:
    """Return one or many as many."""
    return [value] if isinstance(value, str) else value


def allowed(stack: str) -> Iterator[tuple[Registered, str, dict[str, Any]]]:
    """Yield every statement that allows something."""
    for one in recorded(stack).resources:
        for key, statement in statements(one):
            if statement["Effect"] == "Allow":
                yield one, key, statement


@pytest.mark.parametrize("stack", STACKS)
def test_nobody_is_let_in_from_everywhere_but_by_the_load_balancers_443(stack: str) -> None:
    """And that only where the stack says so."""
    rules = of_type(recorded(stack).resources, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    opened = [
        (
            one.inputs["securityGroupId"],
            one.inputs["ipProtocol"],
            one.inputs["fromPort"],
            one.inputs["toPort"],
        )
        for one in rules
        if {one.inputs.get("cidrIpv4"), one.inputs.get("cidrIpv6")} & ANYWHERE
    ]
    assert opened == ([("network-load-balancer-id", "tcp", 443, 443)] if stack == "prod" else [])
    groups = of_type(recorded(stack).resources, "aws:ec2/securityGroup:SecurityGroup")
    assert [one.name for one in groups if one.inputs.get("ingress") or one.inputs.get("egress")] == []


@pytest.mark.parametrize("stack", STACKS)
def test_nodes_are_reached_by_groups_not_by_addresses(stack: str) -> None:
    """Serving nodes by the load balancer on 8443, training nodes by each other (by every protocol for EFA alone)."""
    rules = of_type(recorded(stack).resources, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    ways = {
        (
            one.inputs["securityGroupId"],
            one.inputs.get("referencedSecurityGroupId"),
            one.inputs.get("fromPort"),
        )
        for one in rules
        if "cidrIpv4" not in one.inputs
    }
    assert ways == {
        ("network-serve-id", "network-load-balancer-id", 8443),
        ("network-train-id", "network-train-id", None if stack == "prod" else 1024),
        ("network-endpoints-id", "network-train-id", 443),
        ("network-endpoints-id", "network-serve-id", 443),
    }


@pytest.mark.parametrize("stack", STACKS)
def test_no_action_is_a_wildcard(stack: str) -> None:
    """Every allowed action is spelled out."""
    wild = [
        (one.name, statement.get("Sid"), action)
        for one, _, statement in allowed(stack)
        for action in listed(statement["Action"])
        if "*" in action
    ]
    assert wild == []


def why(name: str, sid: str) -> str:
    """Return the recorded reason for a statement on `*`, or nothing."""
    for (resource, statement), reason in EXCEPTIONS.items():
        same = name == resource or (resource.endswith("-") and name.startswith(resource))
        if same and statement in (sid, "*"):
            return reason
    return ""


@pytest.mark.parametrize("stack", STACKS)
def test_resource_star_has_a_recorded_reason(stack: str) -> None:
    """Where AWS knows a resource for an action, the statement names it."""
    bare = [
        (one.name, statement.get("Sid"))
        for one, key, statement in allowed(stack)
        if key != "assumeRolePolicy" and "*" in listed(statement["Resource"])
        if not why(one.name, statement.get("Sid", ""))
    ]
    assert bare == []


def test_no_recorded_reason_is_left_over() -> None:
    """A reason whose statement is gone goes too."""
    used = {
        why(one.name, statement.get("Sid", ""))
        for stack in STACKS
        for one, key, statement in allowed(stack)
        if key != "assumeRolePolicy" and "*" in listed(statement["Resource"])
    }
    assert used == set(EXCEPTIONS.values())


@pytest.mark.parametrize("stack", STACKS)
def test_a_role_is_assumed_by_one_service(stack: str) -> None:
    """Nobody else's principal stands in a trust policy."""
    roles = of_type(recorded(stack).resources, "aws:iam/role:Role")
    trusted = {
        role.name: statement["Principal"]["Service"]
        for role in roles
        for key, statement in statements(role)
        if key == "assumeRolePolicy"
    }
    assert trusted == {role.name: SERVICE_ROLES[role.name] for role in roles}
    attached = of_type(recorded(stack).resources, "aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    assert {one.inputs["policyArn"] for one in attached} == MANAGED


@pytest.mark.parametrize("stack", STACKS)
def test_every_bucket_is_private_encrypted_and_versioned(stack: str) -> None:
    """Each bucket has all five guards, the second region's copy too."""
    found = recorded(stack).resources
    buckets = {one.name for one in of_type(found, "aws:s3/bucket:Bucket")}
    assert len(buckets) == (5 if stack == "prod" else 4)

    def guarded(kind: str) -> dict[str, Registered]:
        return {
            one.inputs["bucket"]: one for one in of_type(found, f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}")
        }

    blocks = guarded("BucketPublicAccessBlock")
    doors = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    assert {
        name for name, one in blocks.items() if all(one.inputs[door] is True for door in doors)
    } == buckets
    owned = guarded("BucketOwnershipControls")
    assert {
        name
        for name, one in owned.items()
        if one.inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    } == buckets
    versioned = guarded("BucketVersioning")
    assert {
        name
        for name, one in versioned.items()
        if one.inputs["versioningConfiguration"]["status"] == "Enabled"
    } == buckets
    ciphers = {
        name: one.inputs["rules"][0]["applyServerSideEncryptionByDefault"]["sseAlgorithm"]
        for name, one in guarded("BucketServerSideEncryptionConfiguration").items()
    }
    assert ciphers == {name: "AES256" if name == "storage-logs" else "aws:kms" for name in buckets}


@pytest.mark.parametrize("stack", STACKS)
def test_every_bucket_answers_by_tls_only(stack: str) -> None:
    """The first statement of each bucket policy denies the rest."""
    policies = of_type(recorded(stack).resources, "aws:s3/bucketPolicy:BucketPolicy")
    denied = {
        one.inputs["bucket"]
        for one in policies
        for _, statement in statements(one)
        if statement["Effect"] == "Deny"
        and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
    }
    assert denied == {one.name for one in of_type(recorded(stack).resources, "aws:s3/bucket:Bucket")}


@pytest.mark.parametrize("stack", STACKS)
def test_what_is_stored_or_sent_is_encrypted_with_the_stacks_key(stack: str) -> None:
    """Volumes, logs and messages; key rotation is on where AWS can rotate."""
    found = recorded(stack).resources
    key = recorded(stack).named("keys-data").name
    volumes = [
        mapping["ebs"]
        for one in of_type(found, "aws:ec2/launchTemplate:LaunchTemplate")
        for mapping in one.inputs["blockDeviceMappings"]
    ]
    assert [(one["encrypted"], one["kmsKeyId"].endswith(key)) for one in volumes] == [("true", True)] * 2
    assert all(
        one.inputs["kmsKeyId"].endswith(key) for one in of_type(found, "aws:cloudwatch/logGroup:LogGroup")
    )
    assert all(one.inputs["kmsMasterKeyId"].endswith(key) for one in of_type(found, "aws:sns/topic:Topic"))
    turning = {one.name for one in of_type(found, "aws:kms/key:Key") if one.inputs.get("enableKeyRotation")}
    assert turning == {one.name for one in of_type(found, "aws:kms/key:Key")} - {"keys-signing"}


@pytest.mark.parametrize("stack", STACKS)
def test_user_data_fits_and_holds_no_secret(stack: str) -> None:
    """EC2 takes 16 KiB; whoever may describe a template may read it."""
    for one in of_type(recorded(stack).resources, "aws:ec2/launchTemplate:LaunchTemplate"):
        script = base64.b64decode(one.inputs["userData"]).decode()
        assert script.startswith("#!/bin/bash\n")
        assert len(script.encode()) <= 16 * 1024
        assert [
            word for word in ("AKIA", "aws_secret_access_key", "BEGIN PRIVATE KEY") if word in script
        ] == []
