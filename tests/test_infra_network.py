"""The network as it is registered: counts, every rule, and what leads out of it."""

from __future__ import annotations

import functools
import json
from collections import Counter
from typing import Any

import pytest

from infra.network import Network, NetworkArgs
from tests.mocks import ACCOUNT, REGION, Registered, of_type, only, record

TAGS = {"Project": "skylift"}


def network_args(**changed: Any) -> NetworkArgs:
    """Return the arguments of an example network, some of them changed."""
    usual: dict[str, Any] = {
        "account_id": ACCOUNT,
        "region": REGION,
        "cidr": "10.0.0.0/16",
        "zones": ["eu-central-1a", "eu-central-1b"],
        "nat": "one",
        "public_load_balancer": False,
        "allowed_cidrs": ["10.0.0.0/16"],
        "log_retention_days": 365,
        "kms_key_arn": "arn:key",
        "tags": TAGS,
    }
    return NetworkArgs(**(usual | changed))


def network(**changed: Any) -> list[Registered]:
    """Register an example network; the same one is registered once for all tests that read it."""
    return _network(json.dumps(changed, sort_keys=True))


@functools.cache
def _network(changed: str) -> list[Registered]:
    return record(lambda: Network("network", network_args(**json.loads(changed))))


def counts(registered: list[Registered]) -> dict[str, int]:
    """Return how many resources of each type there are."""
    return dict(Counter(one.type.rpartition(":")[2] for one in registered))


ALWAYS = {
    "Network": 1,
    "Vpc": 1,
    "DefaultSecurityGroup": 1,
    "LogGroup": 1,
    "Role": 1,
    "RolePolicy": 1,
    "FlowLog": 1,
    "SecurityGroup": 4,
    "SecurityGroupIngressRule": 5,
    "VpcEndpoint": 10,
}
TWO = ALWAYS | {"Subnet": 4}
THREE = ALWAYS | {"Subnet": 6}
INTERNET = {"InternetGateway": 1}


@pytest.mark.parametrize(
    ("changed", "expected_counts"),
    [
        (
            {},
            TWO
            | INTERNET
            | {"Eip": 1, "NatGateway": 1, "RouteTable": 3, "RouteTableAssociation": 4, "Route": 3}
            | {"SecurityGroupEgressRule": 8},
        ),
        (
            {"nat": "per-zone", "zones": ["a", "b", "c"]},
            THREE
            | INTERNET
            | {"Eip": 3, "NatGateway": 3, "RouteTable": 4, "RouteTableAssociation": 6, "Route": 4}
            | {"SecurityGroupEgressRule": 8},
        ),
        (
            {"nat": "none"},
            TWO | {"RouteTable": 2, "RouteTableAssociation": 2, "SecurityGroupEgressRule": 6},
        ),
        (
            {"nat": "none", "public_load_balancer": True},
            TWO
            | INTERNET
            | {"RouteTable": 3, "RouteTableAssociation": 4, "Route": 1, "SecurityGroupEgressRule": 6},
        ),
        (
            {"nat": "none", "token_keys": True},
            TWO | {"RouteTable": 2, "RouteTableAssociation": 2, "SecurityGroupEgressRule": 7},
        ),
    ],
)
def test_a_network_has_what_its_settings_say(
    changed: dict[str, Any], expected_counts: dict[str, int]
) -> None:
    """Exact counts: without NAT there is no gateway, no address and no route to the internet."""
    assert counts(network(**changed)) == expected_counts


def test_the_network_and_its_subnets() -> None:
    """Names resolve inside, and no subnet gives out addresses of the internet."""
    registered = network()
    assert only(registered, "aws:ec2/vpc:Vpc").inputs == {
        "cidrBlock": "10.0.0.0/16",
        "enableDnsSupport": True,
        "enableDnsHostnames": True,
        "tags": {"Project": "skylift", "Name": "network-vpc"},
    }
    assert {
        one.name: (one.inputs["cidrBlock"], one.inputs["availabilityZone"], one.inputs["mapPublicIpOnLaunch"])
        for one in of_type(registered, "aws:ec2/subnet:Subnet")
    } == {
        "network-public-0": ("10.0.192.0/20", "eu-central-1a", False),
        "network-public-1": ("10.0.208.0/20", "eu-central-1b", False),
        "network-private-0": ("10.0.0.0/18", "eu-central-1a", False),
        "network-private-1": ("10.0.64.0/18", "eu-central-1b", False),
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"zones": ["a"]},
            "zones must be 2 or 3 different names, got ['a']; change them",
        ),
        (
            {"zones": ["a", "a"]},
            "zones must be 2 or 3 different names, got ['a', 'a']; change them",
        ),
        (
            {"nat": "two"},
            "nat must be one, per-zone or none, got `two`; choose one of them",
        ),
        (
            {"cidr": "10.0.0.0/24"},
            "cidr must have a prefix length of 16 to 22, got `10.0.0.0/24`; change the number behind the /",
        ),
        (
            {"cidr": "10.0.0.1/16"},
            "cidr must be IPv4 addresses as 10.0.0.0/16, with no bit set behind the prefix, got `10.0.0.1/16`; "
            "change it",
        ),
        (
            {"allowed_cidrs": ["::/0"]},
            "allowed_cidrs must be IPv4 addresses as 10.0.0.0/16, with no bit set behind the prefix, got `::/0`; "
            "change it",
        ),
        (
            {"endpoint_services": ["ec2", "sqs"]},
            "endpoint_services must be among autoscaling, ec2, elasticloadbalancing, kms, logs, monitoring, ssm, "
            "ssmmessages, sts, got ['sqs']; a new one needs its calls in infra/endpoint_policies.py",
        ),
    ],
)
def test_a_wrong_network_is_refused(changed: dict[str, Any], message: str) -> None:
    """The message is whole: field, rule, value, next step."""
    with pytest.raises(ValueError, match="must") as refused:
        network_args(**changed)
    assert str(refused.value) == message


def test_outputs_stand_in_the_order_of_zones() -> None:
    """What other components read."""
    assert only(network(nat="per-zone"), "skylift:index:Network").outputs == {
        "vpc_id": "network-vpc-id",
        "public_subnet_ids": ["network-public-0-id", "network-public-1-id"],
        "private_subnet_ids": ["network-private-0-id", "network-private-1-id"],
        "load_balancer_security_group_id": "network-load-balancer-id",
        "train_security_group_id": "network-train-id",
        "serve_security_group_id": "network-serve-id",
        "endpoint_security_group_id": "network-endpoints-id",
        "nat_public_ips": [None, None],  # the mocks know no addresses
    }


def test_all_that_can_have_tags_has_them() -> None:
    """But routes and associations, which AWS does not tag, and a role's policy."""
    bare = {one.type.rpartition(":")[2] for one in network() if "Project" not in one.inputs.get("tags", {})}
    assert bare == {"Network", "Route", "RouteTableAssociation", "RolePolicy"}
