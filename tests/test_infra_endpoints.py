"""The doors to AWS's services: where they stand, and that each has its policy."""

from __future__ import annotations

import json

from tests.mocks import REGION, of_type
from tests.policies import expected
from tests.test_infra_network import network

ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
SERVICES = [
    "autoscaling", "ec2", "elasticloadbalancing", "kms", "logs", "monitoring", "ssm", "ssmmessages", "sts",
]  # fmt: skip


def test_doors_stand_in_every_zone_under_their_usual_names() -> None:
    """Interface endpoints: private subnets, the group of doors, private names, a policy each."""
    registered = {one.inputs["serviceName"]: one for one in of_type(network(), ENDPOINT)}
    assert set(registered) == {f"com.amazonaws.{REGION}.{service}" for service in [*SERVICES, "s3"]}
    gateway = registered.pop(f"com.amazonaws.{REGION}.s3")
    assert gateway.inputs["vpcEndpointType"] == "Gateway"
    assert gateway.inputs["routeTableIds"] == ["network-private-0-routes-id", "network-private-1-routes-id"]
    assert json.loads(gateway.inputs["policy"]) == expected("endpoint-s3")
    for service in SERVICES:
        inputs = registered[f"com.amazonaws.{REGION}.{service}"].inputs
        assert inputs["subnetIds"] == ["network-private-0-id", "network-private-1-id"]
        assert inputs["securityGroupIds"] == ["network-endpoints-id"]
        assert (inputs["vpcEndpointType"], inputs["privateDnsEnabled"]) == ("Interface", True)
        assert json.loads(inputs["policy"]) == expected(f"endpoint-{service}")
