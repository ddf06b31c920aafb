"""The record of connections: encrypted, kept as long as asked, written by a role that nothing else can take."""

from __future__ import annotations

import json

from tests.mocks import ACCOUNT, REGION, only
from tests.policies import expected
from tests.test_infra_network import TAGS, network


def test_every_connection_is_recorded() -> None:
    """Accepted and refused traffic, in an encrypted log group."""
    registered = network()
    assert only(registered, "aws:ec2/flowLog:FlowLog").inputs == {
        "vpcId": "network-vpc-id",
        "trafficType": "ALL",
        "logDestination": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:network-flow-log",
        "logDestinationType": "cloud-watch-logs",
        "iamRoleArn": f"arn:aws:iam:{REGION}:{ACCOUNT}:network-flow-role",
        "maxAggregationInterval": 60,
        "tags": TAGS,
    }
    assert only(registered, "aws:cloudwatch/logGroup:LogGroup").inputs == {
        "retentionInDays": 365,
        "kmsKeyId": "arn:key",
        "tags": TAGS,
    }


def test_only_flow_logs_of_this_account_take_the_role() -> None:
    """The role's trust names account and source, and its policy the one log group."""
    registered = network()
    trust = json.loads(only(registered, "aws:iam/role:Role").inputs["assumeRolePolicy"])
    assert trust == expected("trust-flow-logs")
    (statement,) = json.loads(only(registered, "aws:iam/rolePolicy:RolePolicy").inputs["policy"])["Statement"]
    group = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:network-flow-log"  # as the mocks name it
    assert statement["Resource"] == [group, f"{group}:*"]
