"""Every defect of moto's load balancer that we mend is there without the patch, and gone with it."""

from __future__ import annotations

import time
from typing import Any

import botocore.exceptions
import pytest
from moto.elbv2.models import elbv2_backends

from infra.rehearsal import patches
from infra.rehearsal.balancer import controls
from infra.rehearsal.balancer.controls import draining
from tests.rehearsal.unpatched import REGION, client, fails_without, unpatched

__all__ = ["unpatched"]
pytestmark = pytest.mark.usefixtures("unpatched")


def balancer() -> tuple[str, str]:
    """Make a load balancer and a target group whose targets drain for half an hour; return the ARNs of both."""
    balancing, subnets = client("elbv2"), client("ec2").describe_subnets()["Subnets"]
    made = balancing.create_load_balancer(Name="alb", Subnets=[one["SubnetId"] for one in subnets])
    group = balancing.create_target_group(Name="n", Protocol="HTTP", Port=80, VpcId=subnets[0]["VpcId"])
    arn = group["TargetGroups"][0]["TargetGroupArn"]
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "1800"}
    balancing.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
    return made["LoadBalancers"][0]["LoadBalancerArn"], arn


def test_logs_of_health_checks() -> None:
    """A balancer says where its logs of health checks go."""
    balancing = client("elbv2")
    arn, _ = balancer()
    wanted = [{"Key": "health_check_logs.s3.bucket", "Value": "logs"}]

    def change() -> Any:
        return balancing.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=wanted)

    found = fails_without(patches.logs_of_health_checks, change, botocore.exceptions.ClientError)
    assert wanted[0] in found["Attributes"]


def test_tokens_at_the_balancer() -> None:
    """A listener keeps what it verifies tokens by."""
    balancing = client("elbv2")
    arn, target = balancer()
    tokens = {"JwksEndpoint": "https://login.example.org/keys", "Issuer": "https://login.example.org/"}
    actions = [
        {"Type": "jwt-validation", "Order": 1, "JwtValidationConfig": tokens},
        {"Type": "forward", "Order": 2, "TargetGroupArn": target},
    ]

    def listen() -> Any:
        return balancing.create_listener(
            LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=actions
        )["Listeners"][0]["DefaultActions"]

    found = fails_without(patches.tokens_at_the_balancer, listen, botocore.exceptions.ClientError)
    assert found[0]["JwtValidationConfig"] == tokens


def test_targets_that_drain() -> None:
    """A target that is taken out drains for as long as its group says, and may be taken out twice."""
    balancing = client("elbv2")
    _, arn = balancer()
    group: Any = elbv2_backends["123456789012"][REGION].target_groups[arn]

    def take_out() -> Any:
        balancing.register_targets(TargetGroupArn=arn, Targets=[{"Id": "i-1"}, {"Id": "i-2"}])
        for _ in range(2):
            balancing.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": "i-1"}])
        group.deregister_terminated_instances(["i-2"])
        now = time.monotonic()
        return [sorted(draining(group, at)) for at in (now, now + 1800)]

    found = fails_without(patches.targets_that_drain, take_out, botocore.exceptions.ClientError)
    assert found == [["i-1", "i-2"], []]


def test_targets_whose_instances_ended_drain() -> None:
    """Moto keeps them apart too, but not since when."""
    _, arn = balancer()
    group: Any = elbv2_backends["123456789012"][REGION].target_groups[arn]

    def end() -> Any:
        group.register([{"Id": "i-1", "Port": 80}])
        group.deregister_terminated_instances(["i-1"])
        return sorted(draining(group, time.monotonic()))

    assert fails_without(patches.targets_that_drain, end, KeyError) == ["i-1"]


def test_health_that_the_balancer_saw() -> None:
    """Nobody is healthy before the balancer said so; who drains is listed, as is a reason of the balancer's."""
    balancing = client("elbv2")
    arn, group = balancer()
    targets = [{"Id": f"i-{number}"} for number in range(4)]

    def states() -> list[tuple[str, str]]:
        found = balancing.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return [(one["TargetHealth"]["State"], one["TargetHealth"].get("Reason", "")) for one in found]

    patches.targets_that_drain()
    balancing.register_targets(TargetGroupArn=group, Targets=targets)
    balancing.deregister_targets(TargetGroupArn=group, Targets=targets[3:])
    assert states() == [("healthy", "")] * 3
    patches.health_that_the_balancer_saw()
    assert states() == [("unused", "Target.NotInUse")] * 3 + [("draining", "Target.DeregistrationInProgress")]
    balancing.create_listener(
        LoadBalancerArn=arn,
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    controls.target_health(
        group,
        {
            "i-0": ["healthy", "", ""],
            "i-1": ["unhealthy", "Target.Timeout", "Request timed out"],
        },
    )
    assert states() == [
        ("healthy", ""),
        ("unhealthy", "Target.Timeout"),
        ("initial", "Elb.RegistrationInProgress"),
        ("draining", "Target.DeregistrationInProgress"),
    ]
    (gone,) = balancing.describe_target_health(TargetGroupArn=group, Targets=[{"Id": "i-9"}])[
        "TargetHealthDescriptions"
    ]
    assert (gone["TargetHealth"]["State"], gone["TargetHealth"]["Reason"]) == (
        "unused",
        "Target.NotRegistered",
    )
