"""What is asked of AWS, against the emulator; what that does not have, by the words that are sent."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from model_code.scaling_group import Clients, ScalingGroup, make_clients
from tests.training_group import REGION, described, emulated, instances, make_group


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScalingGroup]:
    """A group of three instances, beside another one."""
    with emulated(monkeypatch):
        make_group("train", 3, "127.20.1.0/24")
        make_group("other", 1, "127.20.2.0/24")
        yield ScalingGroup(make_clients(REGION), "train")


def test_the_living_are_those_in_service_that_run(group: ScalingGroup) -> None:
    """With the addresses and launch times that EC2 says, sorted; the other group's are not among them."""
    living = group.living()
    assert sorted(one.id for one in living.members) == instances("train")
    assert living.members == tuple(sorted(living.members))
    assert living.running == frozenset(instances("train"))
    addresses = {one.address for one in living.members}
    assert len(addresses) == 3
    assert all(address.startswith("127.20.1.") for address in addresses)
    launched = datetime.datetime.fromisoformat(living.members[0].launched)
    assert launched.tzinfo == datetime.UTC


def test_an_instance_that_was_terminated_is_gone_at_once(group: ScalingGroup) -> None:
    """Neither a member nor running; the one that replaces it is both."""
    gone = instances("train")[0]
    boto3.client("ec2", REGION).terminate_instances(InstanceIds=[gone])
    living = group.living()
    assert gone not in living.running
    assert sorted(one.id for one in living.members) == instances("train")


def test_an_instance_on_its_way_out_runs_and_is_no_member() -> None:
    """`Terminating:Wait`: it can still save with the others."""
    launched = datetime.datetime(2026, 11, 24, 10, tzinfo=datetime.UTC)
    running = [
        {"InstanceId": one, "PrivateIpAddress": f"10.0.0.{n}", "LaunchTime": launched}
        for n, one in enumerate(("i-1", "i-2"))
    ]
    states = [("i-1", "InService"), ("i-2", "Terminating:Wait")]
    autoscaling, ec2 = boto3.client("autoscaling", REGION), boto3.client("ec2", REGION)
    with Stubber(autoscaling) as stub, Stubber(ec2) as other:
        stub.add_response(
            "describe_auto_scaling_groups",
            {"AutoScalingGroups": [described_group(states)]},
            {"AutoScalingGroupNames": ["train"]},
        )
        other.add_response("describe_instances", {"Reservations": [{"Instances": running}]})
        living = ScalingGroup(Clients(autoscaling=autoscaling, ec2=ec2, cloudwatch=None), "train").living()
    assert [one.id for one in living.members] == ["i-1"]
    assert living.running == {"i-1", "i-2"}


def test_a_node_that_hangs_is_given_up_and_let_go() -> None:
    """The group waits for its leave, which it cannot take; before that, nobody is told that it may go."""
    autoscaling = boto3.client("autoscaling", REGION)
    group = ScalingGroup(Clients(autoscaling=autoscaling, ec2=None, cloudwatch=None), "train")
    health = {"InstanceId": "i-2", "HealthStatus": "Unhealthy", "ShouldRespectGracePeriod": False}
    hooks = {
        "LifecycleHooks": [
            {"LifecycleHookName": "drain", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"}
        ]
    }
    words = {
        "LifecycleHookName": "drain",
        "AutoScalingGroupName": "train",
        "LifecycleActionResult": "CONTINUE",
        "InstanceId": "i-2",
    }
    with Stubber(autoscaling) as stub:
        stub.add_response("set_instance_health", {}, health)
        stub.add_response("describe_lifecycle_hooks", hooks, {"AutoScalingGroupName": "train"})
        stub.add_client_error("complete_lifecycle_action", "ValidationError", expected_params=words)
        group.replace("i-2")
        stub.add_response("set_instance_health", {}, health)
        stub.add_response("describe_lifecycle_hooks", hooks, {"AutoScalingGroupName": "train"})
        stub.add_response("complete_lifecycle_action", {}, words)
        group.replace("i-2")
        stub.assert_no_pending_responses()


def described_group(states: list[tuple[str, str]]) -> dict[str, Any]:
    """Return a group as AWS describes it."""
    return {
        "AutoScalingGroupName": "train",
        "MinSize": 0,
        "MaxSize": 4,
        "DesiredCapacity": 2,
        "DefaultCooldown": 300,
        "AvailabilityZones": ["us-east-1a"],
        "HealthCheckType": "EC2",
        "CreatedTime": datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC),
        "Instances": [
            {
                "InstanceId": one,
                "AvailabilityZone": "us-east-1a",
                "LifecycleState": state,
                "HealthStatus": "Healthy",
                "ProtectedFromScaleIn": False,
            }
            for one, state in states
        ],
    }


def test_the_group_shrinks_to_the_one_that_is_protected(group: ScalingGroup) -> None:
    """Whatever its age; and to none once it is not protected any more."""
    kept = instances("train")[1]
    group.protect(kept, True)
    group.set_size(1)
    assert instances("train") == [kept]
    group.protect(kept, False)
    group.set_size(0)
    assert instances("train") == []


def test_a_floor_is_raised_and_never_lowered(group: ScalingGroup) -> None:
    """A stack may have set a higher one meanwhile."""
    assert group.raise_floor(2)
    assert described("train")["MinSize"] == 2
    assert not group.raise_floor(1)
    assert described("train")["MinSize"] == 2


def test_a_group_that_is_not_there_has_nobody(group: ScalingGroup) -> None:
    """It is being replaced: nobody is in it. Raising its floor is an error to try again."""
    missing = ScalingGroup(make_clients(REGION), "missing")
    assert group
    assert (missing.living().members, missing.living().running) == ((), frozenset())
    with pytest.raises(ClientError):
        missing.raise_floor(1)


def test_only_hooks_of_the_end_are_completed() -> None:
    """The emulator has no lifecycle actions: the words are what is tested."""
    client = boto3.client("autoscaling", REGION, aws_access_key_id="x", aws_secret_access_key="x")
    hooks = [
        {"LifecycleHookName": "drain", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"},
        {"LifecycleHookName": "warm", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"},
    ]
    with Stubber(client) as stub:
        stub.add_response(
            "describe_lifecycle_hooks", {"LifecycleHooks": hooks}, {"AutoScalingGroupName": "train"}
        )
        words = {
            "LifecycleHookName": "drain",
            "AutoScalingGroupName": "train",
            "LifecycleActionResult": "CONTINUE",
            "InstanceId": "i-1",
        }
        stub.add_response("complete_lifecycle_action", {}, words)
        ScalingGroup(Clients(autoscaling=client, ec2=None, cloudwatch=None), "train").let_go("i-1")
        stub.assert_no_pending_responses()
