"""Policy documents: whole, as they are sent; then what they let through and what they stop.

What this does not prove: that AWS reads them as `allowed` does. The rehearsal enforces them on real requests.
"""

from __future__ import annotations

import json
import re

import pytest
from moto.iam.policy_validation import IAMPolicyDocumentValidator

from infra.bucket_policies import models_bucket, private_bucket
from infra.policies import UNRESTRICTABLE, Document, text
from tests.policies import (
    EXPECTED,
    KEY,
    PLACES,
    RESOURCES,
    ROLES,
    allowed,
    expected,
    statements,
)

ALL = ROLES | RESOURCES
TRAIN, SERVE, SOURCE = ROLES["role-train"], ROLES["role-serve"], ROLES["role-train-source"]
MODELS, DATA = models_bucket("arn:aws:s3:::models", KEY), private_bucket("arn:aws:s3:::data", KEY)
TLS = {"aws:SecureTransport": "true"}
ONCE = TLS | {"s3:if-none-match": "*"}
S3 = {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}
ENCRYPTION = "s3:x-amz-server-side-encryption"
MANIFEST = "arn:aws:s3:::models/digits/1a2b/manifest.json"
SERVE_GROUP, TRAIN_GROUP = PLACES.group(PLACES.serve_group), PLACES.group(PLACES.train_group)
OTHER_GROUP = PLACES.group("somebody-else")


@pytest.mark.parametrize("name", ALL)
def test_a_document_is_what_was_reviewed(name: str) -> None:
    """Every document is compared whole, so a change of any is seen in a review."""
    assert json.loads(text(ALL[name])) == expected(name)


@pytest.mark.parametrize("name", ROLES)
def test_iam_would_take_a_roles_document(name: str) -> None:
    """The emulator's reading of IAM's grammar finds no fault."""
    IAMPolicyDocumentValidator(text(ALL[name])).validate()


def test_no_reviewed_document_is_left_behind() -> None:
    """The folder of expected documents holds those and no others."""
    assert {path.stem for path in EXPECTED.iterdir()} == set(ALL)


def test_a_role_uses_a_star_only_where_aws_has_nothing_narrower() -> None:
    """The table of exceptions is exactly what the roles use."""
    used = {
        action
        for statement in statements(*ROLES.values())
        for action in statement["Action"]
        if "*" in statement["Resource"]
    }
    assert used == set(UNRESTRICTABLE)


def test_no_statement_allows_an_action_by_pattern() -> None:
    """What is allowed is spelled out; a pattern may only refuse."""
    patterns = [
        action
        for statement in statements(*ALL.values())
        for action in statement["Action"]
        if statement["Effect"] == "Allow" and "*" in action
    ]
    assert patterns == []


@pytest.mark.parametrize("name", ALL)
def test_every_statement_has_a_name_of_its_own(name: str) -> None:
    """AWS takes letters and digits in a Sid."""
    names = [statement["Sid"] for statement in statements(ALL[name])]
    assert len(set(names)) == len(names)
    assert [one for one in names if not re.fullmatch("[A-Za-z0-9]+", one)] == []


def test_everybody_is_let_in_nowhere_but_through_the_doors() -> None:
    """An Allow for `*` stands in endpoints only, and there for the own account or for AWS's own packages."""
    open_to_all = {
        (name, statement["Sid"])
        for name, document in RESOURCES.items()
        for statement in statements(document)
        if statement["Effect"] == "Allow" and statement["Principal"] == "*"
    }
    unlimited = {
        (name, sid)
        for name, sid in open_to_all
        for statement in statements(RESOURCES[name])
        if statement["Sid"] == sid
        and statement.get("Condition", {}).get("StringEquals", {}).get("aws:PrincipalAccount") is None
    }
    assert {name.split("-")[0] for name, _ in open_to_all} == {"endpoint"}
    assert unlimited == {(name, "AgentPackages") for name in ("endpoint-s3", "endpoint-s3-source")}


@pytest.mark.parametrize(("kind", "most"), [("role", 10240), ("bucket", 20480), ("key", 32768)])
def test_documents_are_smaller_than_aws_takes(kind: str, most: int) -> None:
    """Inline policies of a role 10,240 characters, of a bucket 20 KiB, of a key 32 KiB."""
    sizes = {name: len(text(document)) for name, document in ALL.items() if name.startswith(kind)}
    assert sizes
    assert {name: size for name, size in sizes.items() if size > most} == {}


@pytest.mark.parametrize(
    ("role", "action", "resource", "context", "guard"),
    [
        (TRAIN, "s3:GetObject", "arn:aws:s3:::data/digits/1/index.json", TLS, DATA),
        (TRAIN, "s3:PutObject", "arn:aws:s3:::data/digits/1/index.json", TLS, DATA),
        (TRAIN, "s3:PutObject", "arn:aws:s3:::data/x", TLS | {ENCRYPTION: "aws:kms"}, DATA),
        (SOURCE, "s3:GetObject", "arn:aws:s3:::theirs/books/a.txt", TLS, None),
        (TRAIN, "s3:DeleteObject", "arn:aws:s3:::work/runs/r/checkpoints/step-1/manifest.json", TLS, None),
        (TRAIN, "s3:GetObject", "arn:aws:s3:::work/code/1a.zip", TLS, None),
        (TRAIN, "s3:PutObject", MANIFEST, ONCE, MODELS),
        (TRAIN, "s3:PutObject", "arn:aws:s3:::models/digits/current.json", TLS, MODELS),
        (TRAIN, "kms:GenerateDataKey", KEY, S3, None),
        (TRAIN, "kms:Sign", PLACES.signing_key, {}, None),
        (TRAIN, "autoscaling:SetDesiredCapacity", TRAIN_GROUP, {}, None),
        (TRAIN, "autoscaling:SetDesiredCapacity", SERVE_GROUP, {}, None),
        (TRAIN, "autoscaling:UpdateAutoScalingGroup", SERVE_GROUP, {"autoscaling:MinSize": "2"}, None),
        (TRAIN, "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "Skylift/dev"}, None),
        (SERVE, "s3:GetObject", MANIFEST, TLS, MODELS),
        (SERVE, "s3:ListBucket", "arn:aws:s3:::models", TLS, MODELS),
        (SERVE, "kms:Decrypt", KEY, S3, None),
        (SERVE, "kms:GetPublicKey", PLACES.signing_key, {}, None),
        (SERVE, "elasticloadbalancing:DeregisterTargets", PLACES.target_group, {}, None),
        (SERVE, "autoscaling:SetInstanceHealth", SERVE_GROUP, {}, None),
        (TRAIN, "autoscaling:SetInstanceHealth", TRAIN_GROUP, {}, None),
        (SERVE, "logs:PutLogEvents", PLACES.logs("/skylift/dev/serve"), {}, None),
    ],
)
def test_a_node_may_do_its_work(
    role: Document, action: str, resource: str, context: dict[str, str], guard: Document | None
) -> None:
    """What each room does all day is allowed."""
    assert allowed(role, action, resource, context, guard)


@pytest.mark.parametrize(
    ("role", "action", "resource", "context", "guard"),
    [
        # The buckets refuse what is not as it should be, whoever asks.
        (TRAIN, "s3:GetObject", "arn:aws:s3:::data/x", {"aws:SecureTransport": "false"}, DATA),
        (TRAIN, "s3:PutObject", "arn:aws:s3:::data/x", TLS | {ENCRYPTION: "AES256"}, DATA),
        (TRAIN, "s3:PutObject", "arn:aws:s3:::data/x", TLS | {f"{ENCRYPTION}-aws-kms-key-id": "other"}, DATA),
        (
            TRAIN,
            "s3:PutObject",
            "arn:aws:s3:::data/x",
            TLS | {f"{ENCRYPTION}-customer-algorithm": "AES256"},
            DATA,
        ),
        (TRAIN, "s3:PutObject", MANIFEST, TLS, MODELS),
        (TRAIN, "s3:DeleteObject", MANIFEST, TLS, MODELS),
        # Data elsewhere is read where it is named, and nowhere beside it.
        (SOURCE, "s3:GetObject", "arn:aws:s3:::theirs/books/b.txt", TLS, None),
        (SOURCE, "s3:PutObject", "arn:aws:s3:::theirs/books/a.txt", TLS, None),
        (TRAIN, "s3:GetObject", "arn:aws:s3:::theirs/books/a.txt", TLS, None),
        # A trainer changes no release, no other model, no code, and no key.
        (TRAIN, "s3:DeleteObject", "arn:aws:s3:::models/digits/1a2b/model.mar", TLS, MODELS),
        (TRAIN, "s3:PutObject", "arn:aws:s3:::models/other/current.json", TLS, MODELS),
        (TRAIN, "s3:PutObject", "arn:aws:s3:::work/code/1a.zip", TLS, None),
        (TRAIN, "s3:DeleteObject", "arn:aws:s3:::data/x", TLS, None),
        (TRAIN, "s3:BypassGovernanceRetention", MANIFEST, TLS, MODELS),
        (TRAIN, "kms:Decrypt", KEY, {}, None),
        (TRAIN, "kms:PutKeyPolicy", PLACES.signing_key, {}, None),
        # Raising the floor is no way to start something else.
        *(
            (TRAIN, "autoscaling:UpdateAutoScalingGroup", SERVE_GROUP, {f"autoscaling:{key}": value}, None)
            for key, value in {
                "InstanceTypes": "p5.48xlarge",
                "LaunchConfigurationName": "theirs",
                "LaunchTemplateVersionSpecified": "true",
                "MaxSize": "1000",
                "VPCZoneIdentifiers": "subnet-theirs",
                "CapacityReservationIds": "cr-theirs",
                "CapacityReservationResourceGroupArns": "arn:theirs",
            }.items()
        ),
        (TRAIN, "autoscaling:UpdateAutoScalingGroup", TRAIN_GROUP, {}, None),
        (TRAIN, "autoscaling:SetDesiredCapacity", OTHER_GROUP, {}, None),
        (TRAIN, "iam:PassRole", "*", {}, None),
        (TRAIN, "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "AWS/EC2"}, None),
        # A server only reads, and only the releases of its model.
        (SERVE, "s3:PutObject", "arn:aws:s3:::models/digits/current.json", ONCE, MODELS),
        (SERVE, "s3:GetObject", "arn:aws:s3:::models/other/current.json", TLS, MODELS),
        (SERVE, "s3:GetObject", "arn:aws:s3:::data/x", TLS, DATA),
        (SERVE, "s3:GetObject", "arn:aws:s3:::work/runs/r/state.json", TLS, None),
        (SERVE, "kms:Sign", PLACES.signing_key, {}, None),
        (SERVE, "elasticloadbalancing:RegisterTargets", PLACES.target_group, {}, None),
        (SERVE, "autoscaling:SetDesiredCapacity", SERVE_GROUP, {}, None),
        (SERVE, "autoscaling:SetInstanceHealth", TRAIN_GROUP, {}, None),
        (TRAIN, "autoscaling:SetInstanceHealth", SERVE_GROUP, {}, None),
        (SERVE, "elasticloadbalancing:DeregisterTargets", "arn:of-another-group", {}, None),
        (SERVE, "logs:PutLogEvents", PLACES.logs("/skylift/dev/train"), {}, None),
    ],
)
def test_a_node_may_do_no_more(
    role: Document, action: str, resource: str, context: dict[str, str], guard: Document | None
) -> None:
    """What a stolen node could try is refused, each by itself."""
    assert not allowed(role, action, resource, context, guard)
