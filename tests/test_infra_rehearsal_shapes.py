"""Pulumi's names become those of AWS's API by botocore's shapes, and what is there is compared in the API's words."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from infra.rehearsal.provider import shapes
from infra.rehearsal.provider.table_balancing import ROWS


def shape_of(service: str, operation: str) -> Any:
    """Return the shape of a call's input."""
    loader = botocore.session.get_session()
    return loader.get_service_model(service).operation_model(operation).input_shape


def test_names_are_matched_without_case_and_plural() -> None:
    """`cidrBlock` is `CidrBlock`, and a plural's end does not count."""
    found = shapes.document(shape_of("ec2", "CreateVpc"), {"cidrBlock": "10.0.0.0/16", "unknown": 1}, {})
    assert found == {"CidrBlock": "10.0.0.0/16"}


def test_what_verifies_tokens_reaches_the_listener() -> None:
    """Pulumi's name for it is shorter than AWS's: without the row's help it would be left out in silence."""
    tokens = {"issuer": "https://issuer", "jwksEndpoint": "https://issuer/keys"}
    inputs = {"defaultActions": [{"type": "jwt-validation", "order": 1, "jwtValidation": tokens}]}
    names = ROWS["aws:lb/listener:Listener"].names
    found = shapes.document(shape_of("elbv2", "CreateListener"), inputs, names)
    config = {"Issuer": "https://issuer", "JwksEndpoint": "https://issuer/keys"}
    assert found == {
        "DefaultActions": [{"Type": "jwt-validation", "Order": 1, "JwtValidationConfig": config}]
    }


def test_values_take_the_shape_s_types() -> None:
    """A block becomes a structure, a list of subnets the text that the call wants, tags a list of pairs."""
    found = shapes.document(
        shape_of("autoscaling", "CreateAutoScalingGroup"),
        {"name": "nodes", "vpcZoneIdentifiers": ["subnet-1", "subnet-2"], "maxSize": "3"},
        {"name": "AutoScalingGroupName", "vpcZoneIdentifiers": "VPCZoneIdentifier"},
    )
    assert found == {
        "AutoScalingGroupName": "nodes",
        "VPCZoneIdentifier": "subnet-1,subnet-2",
        "MaxSize": 3,
    }
    tagged = shapes.document(shape_of("iam", "CreateRole"), {"tags": {"Owner": "me"}}, {})
    assert tagged == {"Tags": [{"Key": "Owner", "Value": "me"}]}


def test_a_dotted_name_leads_into_structures() -> None:
    """`rules` of pulumi lie under `LifecycleConfiguration` in the API."""
    found = shapes.document(
        shape_of("s3", "PutBucketLifecycleConfiguration"),
        {"rules": [{"id": "tidy", "status": "Enabled", "filter": {"prefix": ""}}]},
        {"rules": "LifecycleConfiguration.Rules", "rules.id": "ID"},
    )
    assert found == {
        "LifecycleConfiguration": {"Rules": [{"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}}]}
    }


@pytest.mark.parametrize(
    ("asked", "found", "same"),
    [
        ({"A": 1}, {"A": 1, "Added": "by AWS"}, True),
        ({"A": 1}, {"A": 2}, False),
        ([{"A": 1}, {"A": 2}], [{"A": 2, "B": 0}, {"A": 1}], True),
        ([{"A": 1}], [{"A": 1}, {"A": 2}], False),
        ('{"a": [1]}', '{"a":[1]}', True),
        ('{"a": "b"}', "%7B%22a%22%3A%20%22b%22%7D", True),
        ('{"a": 1}', '{"a": 2}', False),
        (True, "true", True),
        (True, "false", False),
        (False, None, True),
        ("x", None, False),
    ],
)
def test_what_is_asked_for_must_be_true_of_what_is_there(asked: Any, found: Any, same: bool) -> None:
    """What AWS adds does not count; what somebody added to a list does."""
    assert shapes.holds(asked, found) is same


def test_the_way_back_gives_properties() -> None:
    """Names begin small again."""
    assert shapes.plain({"MaxSize": 3, "Tags": [{"Key": "a"}]}) == {"maxSize": 3, "tags": [{"key": "a"}]}
