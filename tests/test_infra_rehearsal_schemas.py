"""AWS's own resource schemas refuse wrong inputs, named by Pulumi's property, and nothing that is right or unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import regex
from pulumi.runtime.rpc import UNKNOWN

from infra.rehearsal.schema_names import TYPES
from infra.rehearsal.schemas import NoSchemaError, replaces, row_of, schema_of, unmapped, violations

VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
TARGETS = "aws:lb/targetGroup:TargetGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
RIGHT: list[tuple[str, dict[str, Any]]] = [
    ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.20.0.0/16", "enableDnsHostnames": True, "tags": {"Owner": "me"}}),
    (VERSIONING, {"bucket": "b", "versioningConfiguration": {"status": "Enabled"}}),
    (TARGETS, {"port": 8443.0, "protocol": "HTTPS", "healthCheck": {"path": "/ready", "matcher": "200"}}),
    (
        TEMPLATE,
        {
            "imageId": UNKNOWN,
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1.0},
            "blockDeviceMappings": [
                {"deviceName": "/dev/xvda", "ebs": {"volumeSize": 100, "encrypted": "true"}}
            ],
        },
    ),
    (
        "aws:backup/plan:Plan",
        {
            "name": "daily",
            "rules": [{"ruleName": "daily", "targetVaultName": "v", "lifecycle": {"deleteAfter": 9}}],
        },
    ),
]
WRONG: list[tuple[str, dict[str, Any], str]] = [
    # enums
    (
        VERSIONING,
        {"versioningConfiguration": {"status": "On"}},
        "`versioningConfiguration.status`: 'On' is not one of ['Enabled', 'Suspended'] (schema AWS::S3::Bucket)",
    ),
    (TARGETS, {"protocol": "HTTPZ"}, "`protocol`: 'HTTPZ' is not one of ['GENEVE', 'HTTP', 'HTTPS', "),
    (
        TEMPLATE,
        {"metadataOptions": {"httpTokens": "maybe"}},
        "`metadataOptions.httpTokens`: 'maybe' is not one",
    ),
    (
        TEMPLATE,
        {"blockDeviceMappings": [{"ebs": {"volumeType": "gp9"}}]},
        "`blockDeviceMappings[0].ebs.volumeType`: 'gp9' is not one of ['gp2', 'gp3', ",
    ),
    ("aws:kms/key:Key", {"customerMasterKeySpec": "RSA_1"}, "`customerMasterKeySpec`: 'RSA_1' is not one of"),
    (
        "aws:cloudwatch/logGroup:LogGroup",
        {"retentionInDays": 42},
        "`retentionInDays`: 42 is not one of [1, 3, ",
    ),
    # names and patterns
    (
        "aws:kms/alias:Alias",
        {"name": "key", "targetKeyId": "1"},
        "`name`: 'key' does not match '^(alias/)[a-z",
    ),
    ("aws:backup/vault:Vault", {"name": "my vault"}, "`name`: 'my vault' does not match '^[a-zA-Z0-9"),
    ("aws:iam/role:Role", {"name": "a b", "assumeRolePolicy": "{}"}, "`name`: 'a b' does not match "),
    ("aws:cloudwatch/logGroup:LogGroup", {"name": "a b"}, "`name`: 'a b' does not match "),
    # ranges and lengths
    (
        "aws:kms/key:Key",
        {"deletionWindowInDays": 3},
        "`deletionWindowInDays`: 3 is less than the minimum of 7",
    ),
    (TARGETS, {"healthCheck": {"interval": 1}}, "`healthCheck.interval`: 1 is less than the minimum of 5"),
    ("aws:kms/key:Key", {"description": "x" * 8193}, "xxx' is too long (schema AWS::KMS::Key)"),
    # types
    (
        "aws:ec2/vpc:Vpc",
        {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": "yes"},
        "'yes' is not of type 'boolean'",
    ),
    (TARGETS, {"port": "https"}, "`port`: 'https' is not of type 'integer'"),
    # what must be there
    (
        "aws:lb/listener:Listener",
        {"loadBalancerArn": "a"},
        "`inputs`: 'DefaultActions' is a required property",
    ),
    (
        "aws:sns/topicSubscription:TopicSubscription",
        {"topic": "t"},
        "`inputs`: 'Protocol' is a required property",
    ),
    ("aws:ec2/subnet:Subnet", {"cidrBlock": "10.0.0.0/24"}, "`inputs`: 'VpcId' is a required property"),
    (
        "aws:ec2/vpc:Vpc",
        {},
        "`inputs`: exactly one of ['CidrBlock', 'Ipv4IpamPoolId'] must be given, received []",
    ),
    (
        "aws:backup/plan:Plan",
        {"name": "daily", "rules": [{"ruleName": "daily"}]},
        "`rules[0]`: 'TargetBackupVault' is a required property (schema AWS::Backup::BackupPlan)",
    ),
]


@pytest.mark.parametrize(("token", "inputs"), RIGHT)
def test_right_inputs_pass(token: str, inputs: Mapping[str, Any]) -> None:
    """Numbers that are doubles or text, tag maps and values not known yet among them."""
    assert violations(token, inputs) == []


@pytest.mark.parametrize(("token", "inputs", "message"), WRONG)
def test_wrong_inputs_are_refused(token: str, inputs: Mapping[str, Any], message: str) -> None:
    """One line that names type, Pulumi's property, rule and value."""
    (found,) = violations(token, inputs)
    assert found.startswith(f"{token} `")
    assert message in found
    assert "\n" not in found


def test_values_that_are_not_known_yet_are_not_judged() -> None:
    """In a preview most identifiers are unknown; that they are given is known."""
    inputs = {"loadBalancerArn": UNKNOWN, "port": UNKNOWN, "protocol": object(), "defaultActions": UNKNOWN}
    assert violations("aws:lb/listener:Listener", inputs) == []


def test_what_the_schema_has_no_name_for_is_listed() -> None:
    """Nothing is left unjudged in silence."""
    inputs = {"bucket": "b", "versioningConfiguration": {"status": "Enabled", "mfaDelete": "Disabled"}}
    assert unmapped(VERSIONING, inputs) == ["bucket", "versioningConfiguration.mfaDelete"]
    assert unmapped("aws:s3/bucketObjectv2:BucketObjectv2", {"key": "k", "bucket": "b"}) == ["key", "bucket"]


def test_a_type_without_a_row_is_refused() -> None:
    """Whoever adds a type says which schema is its."""
    with pytest.raises(
        NoSchemaError, match="no schema is named for `aws:ec2/castle:Castle`: add a row to infra/"
    ):
        violations("aws:ec2/castle:Castle", {})


@pytest.mark.parametrize(
    ("token", "name", "value", "anew"),
    [
        (TARGETS, "protocol", "HTTPS", True),
        (TARGETS, "healthCheck", {"path": "/ready"}, False),
        ("aws:budgets/budget:Budget", "name", "month", True),
        ("aws:budgets/budget:Budget", "limitAmount", "10", False),
        ("aws:ec2/vpc:Vpc", "cidrBlock", "10.0.0.0/16", True),
        (VERSIONING, "bucket", "b", None),
        ("aws:s3/bucketObjectv2:BucketObjectv2", "key", "k", None),
    ],
)
def test_what_aws_makes_anew(token: str, name: str, value: object, anew: bool | None) -> None:
    """Create-only properties of the schema, by Pulumi's names; None where the schema has no such property."""
    assert replaces(token, name, value) is anew


@pytest.mark.parametrize("token", TYPES)
def test_every_row_names_what_the_schema_has(token: str) -> None:
    """A row that AWS's next schema no longer fits is found here, and so is a pattern that cannot be compiled."""
    row, schema = row_of(token), schema_of(token)
    for path in [*row.names.values(), row.under]:
        place: Mapping[str, Any] = schema
        for part in path.split(".") if path else ():
            while "$ref" in place:
                place = schema["definitions"][place["$ref"].rpartition("/")[2]]
            place = place["properties"][part]
    for pattern in patterns(schema):
        regex.compile(pattern)


def patterns(node: object) -> Iterator[str]:
    """Yield the patterns of a schema."""
    if isinstance(node, Mapping):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        for value in node.values():
            yield from patterns(value)
    if isinstance(node, list):
        for value in node:
            yield from patterns(value)
