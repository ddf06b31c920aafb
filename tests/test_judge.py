"""checkov, which knows nothing of this program, judges both example stacks: nothing fails without a recorded reason."""

from __future__ import annotations

from functools import reduce

import pytest

from tests.judge.exceptions import EXCEPTIONS
from tests.judge.terraform_names import TYPES, singular, snake
from tests.judge.terraform_plan import plan, values
from tests.judge.verdict import NoJudgeError, Verdict, judge, prepare
from tests.policy.rows.resource import UNKNOWN, Resource
from tests.policy_changes import put, remove
from tests.policy_stacks import example
from tests.stacks import STACKS

FLIPS = {
    ("CKV_AWS_79", "aws_launch_template.serve-template"): put(
        "aws:ec2/launchTemplate:LaunchTemplate", "metadataOptions.httpTokens", "optional", "serve-template"
    ),
    ("CKV_AWS_328", "aws_lb.load-balancer-alb"): put(
        "aws:lb/loadBalancer:LoadBalancer", "desyncMitigationMode", "monitor"
    ),
    ("CKV_AWS_103", "aws_lb_listener.load-balancer-https"): put(
        "aws:lb/listener:Listener", "sslPolicy", "ELBSecurityPolicy-2016-08"
    ),
    ("CKV_AWS_7", "aws_kms_key.keys-data"): put("aws:kms/key:Key", "enableKeyRotation", False, "keys-data"),
    ("CKV_AWS_158", "aws_cloudwatch_log_group.network-flow-log"): put(
        "aws:cloudwatch/logGroup:LogGroup", "kmsKeyId", None, "network-flow-log"
    ),
    ("CKV_AWS_130", "aws_subnet.network-public-0"): put(
        "aws:ec2/subnet:Subnet", "mapPublicIpOnLaunch", True, "network-public-0"
    ),
    ("CKV_AWS_21", "aws_s3_bucket.storage-data"): put(
        "aws:s3/bucketVersioning:BucketVersioning",
        "versioningConfiguration.status",
        "Suspended",
        "storage-data-versioning",
    ),
    ("CKV2_AWS_11", "aws_vpc.network-vpc"): remove("aws:ec2/flowLog:FlowLog"),
    ("CKV2_AWS_12", "aws_vpc.network-vpc"): remove("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"),
    ("CKV2_AWS_6", "aws_s3_bucket.storage-work"): remove(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "storage-work-private"
    ),
}
"""Ten flipped properties by what checkov must find; the last four are found by references alone."""


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    """Both example stacks and a broken one, judged in one run."""
    try:
        prepare()
    except NoJudgeError as missing:
        pytest.skip(f"no independent judge: {missing}")
    stacks = {stack: example(stack) for stack in STACKS}
    broken = reduce(lambda stack, change: change(stack), FLIPS.values(), stacks["prod"])
    return judge({**stacks, "broken": broken}, tmp_path_factory.mktemp("plans"))


@pytest.mark.parametrize("stack", STACKS)
def test_nothing_fails_without_a_recorded_reason(verdicts: dict[str, Verdict], stack: str) -> None:
    """Every failed check stands in the table, and the judge had much to look at."""
    assert sorted(verdicts[stack].failed - set(EXCEPTIONS)) == []
    assert len(verdicts[stack].passed) > 200


def test_every_recorded_reason_is_still_needed(verdicts: dict[str, Verdict]) -> None:
    """A reason for what no longer fails is to be deleted."""
    failed = {finding for stack in STACKS for finding in verdicts[stack].failed}
    assert sorted(set(EXCEPTIONS) - failed) == []


def test_each_flipped_property_is_found(verdicts: dict[str, Verdict]) -> None:
    """What passed before fails now, so the plan that the judge reads is no fog."""
    assert set(FLIPS) <= verdicts["prod"].passed
    assert set(FLIPS) <= verdicts["broken"].failed


def test_a_plan_has_terraforms_names() -> None:
    """Single blocks are lists of one, repeated blocks are in the singular, tags stay a map."""
    listener = {
        "port": 443.0,
        "tags": {"Owner": "me"},
        "defaultActions": [{"type": "forward", "targetGroupArn": UNKNOWN}],
        "mutualAuthentication": {"mode": "off"},
        "vpcZoneIdentifiers": ["subnet-1"],
        "sslPolicy": UNKNOWN,
    }
    assert values(listener) == {
        "port": 443,
        "tags": {"Owner": "me"},
        "default_action": [{"type": "forward"}],
        "mutual_authentication": [{"mode": "off"}],
        "vpc_zone_identifier": ["subnet-1"],
    }
    assert values({"tags": [{"key": "a", "propagateAtLaunch": True}]}) == {
        "tag": [{"key": "a", "propagate_at_launch": True}]
    }
    assert values({"blockDeviceMappings": [{"deviceName": "/dev/sda1"}]}) == {
        "block_device_mappings": [{"device_name": "/dev/sda1"}]
    }
    assert (snake("cidrIpv4"), snake("mapPublicIpOnLaunch")) == ("cidr_ipv4", "map_public_ip_on_launch")
    assert [singular(name) for name in ("metric_queries", "rules", "aliases")] == [
        "metric_query",
        "rule",
        "alias",
    ]


def test_a_plan_says_what_refers_to_what() -> None:
    """Graph checks follow these references."""
    vpc = Resource(type="aws:ec2/vpc:Vpc", name="vpc", inputs={"cidrBlock": "10.0.0.0/16"})
    log = Resource(
        type="aws:ec2/flowLog:FlowLog",
        name="log",
        inputs={"vpcId": UNKNOWN},
        references={"vpcId": (vpc.key,), "tags": ()},
    )
    made = plan([vpc, log, Resource(type="skylift:index:Network", name="network", inputs={})])
    assert [one["address"] for one in made["planned_values"]["root_module"]["resources"]] == [
        "aws_vpc.vpc",
        "aws_flow_log.log",
    ]
    assert made["configuration"]["root_module"]["resources"][1]["expressions"] == {
        "vpc_id": {"references": ["aws_vpc.vpc.id", "aws_vpc.vpc"]}
    }


def test_a_type_without_a_name_is_refused() -> None:
    """It would otherwise be judged by nobody."""
    with pytest.raises(
        ValueError, match="types without a Terraform name: aws:sqs/queue:Queue; add them to TYPES"
    ):
        plan([Resource(type="aws:sqs/queue:Queue", name="queue", inputs={})])


def test_names_are_those_of_the_installed_provider() -> None:
    """A misspelt type in the table would never be missed."""
    from importlib import import_module

    for token in TYPES:
        module, _, name = token.removeprefix("aws:").partition("/")[0], "", token.split(":")[-1]
        assert getattr(import_module(f"pulumi_aws.{module}"), name).pulumi_type == token
