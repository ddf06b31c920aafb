"""A gateway that a killed `up` had made and attached already is left as it is by the next one."""

from __future__ import annotations

import boto3
import pytest
from moto import mock_aws

from infra.rehearsal.provider import lifecycle
from infra.rehearsal.provider.clients import Clients
from infra.rehearsal.provider.table import TABLE
from infra.rehearsal.provider.target import Target

REGION = "eu-central-1"
GATEWAY = "aws:ec2/internetGateway:InternetGateway"
URN = f"urn:pulumi:dev::skylift::{GATEWAY}::gateway"


def test_what_is_attached_already_is_attached_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the same network; one that is attached nowhere is attached."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        ec2 = boto3.client("ec2", REGION)
        network = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        asked = {"vpcId": network, "tags": {}}
        target = Target(row=TABLE[GATEWAY], urn=URN, clients=Clients(REGION), inputs=asked)
        lifecycle.create(target)
        lifecycle.apply(target, {"vpcId"}, {})
        (found,) = ec2.describe_internet_gateways(InternetGatewayIds=[target.id])["InternetGateways"]
        assert [one["VpcId"] for one in found["Attachments"]] == [network]
