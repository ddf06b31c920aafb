"""A node that is to go leaves the balancer, waits until it says that it is ready, and only then ends."""

from __future__ import annotations

from collections.abc import Iterator

import botocore.exceptions
import pytest

from infra.rehearsal.scaling import controls
from tests.rehearsal.scaling_account import HOOK, Account, scaling_account


@pytest.fixture
def account() -> Iterator[Account]:
    """An account with a group of two nodes and a hook that holds them back."""
    with scaling_account() as made:
        made.group(made.template(), 2, LifecycleHookSpecificationList=[HOOK])
        yield made


def shrink(account: Account, nodes: int = 1) -> str:
    """Set the group's size and return the first node that goes."""
    account.client("autoscaling").set_desired_capacity(AutoScalingGroupName="nodes", DesiredCapacity=nodes)
    account.wait()
    return next(one for one, state in account.states().items() if state == "Terminating:Wait")


def let_go(account: Account, instance: str) -> None:
    """Say that a node is ready, as a node does."""
    account.client("autoscaling").complete_lifecycle_action(
        AutoScalingGroupName="nodes",
        LifecycleHookName="terminate",
        InstanceId=instance,
        LifecycleActionResult="CONTINUE",
    )
    account.wait()


def target_group(account: Account) -> str:
    """Make a target group and give it to the group; return its ARN."""
    made = account.client("elbv2").create_target_group(
        Name="nodes", Protocol="HTTPS", Port=8443, VpcId=account.subnets()[0]["VpcId"]
    )
    arn = str(made["TargetGroups"][0]["TargetGroupArn"])
    account.client("autoscaling").attach_load_balancer_target_groups(
        AutoScalingGroupName="nodes", TargetGroupARNs=[arn]
    )
    account.wait()
    return arn


def targets(account: Account, arn: str) -> set[str]:
    """Return the instances that are in a target group, those that drain left out."""
    found = account.client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return {one["Target"]["Id"] for one in found if one["TargetHealth"]["State"] != "draining"}


def test_a_node_waits_until_it_says_that_it_is_ready(account: Account) -> None:
    """It still runs, and both calls that nodes make show where it is."""
    waits = shrink(account)
    (shown,) = account.client("autoscaling").describe_auto_scaling_instances(InstanceIds=[waits])[
        "AutoScalingInstances"
    ]
    assert shown["LifecycleState"] == "Terminating:Wait"
    assert account.ec2_state(waits) == "running"
    account.wait(99)
    assert account.ec2_state(waits) == "running"
    let_go(account, waits)
    assert account.ec2_state(waits) == "terminated"
    assert list(account.states().values()) == ["InService"]
    assert account.told("terminating", "terminated") == ["terminating", "terminated"]


def test_a_group_keeps_a_node_until_its_machine_has_shut_down(account: Account) -> None:
    """Who waits for an empty group waits for the last node's goodbye: its role goes after it."""
    waits = shrink(account)
    here = account.states().keys()
    controls.machines(sorted(here))
    let_go(account, waits)
    assert account.ec2_state(waits) == "terminated"
    assert account.states()[waits] == "Terminating"
    controls.machines(sorted(here - {waits}))
    account.wait(1)
    assert waits not in account.states()


def test_a_node_that_says_nothing_goes_after_its_time(account: Account) -> None:
    """CONTINUE at the heartbeat timeout: a node that hangs must not stay."""
    waits = shrink(account)
    account.wait(100)
    assert account.ec2_state(waits) == "terminated"


def test_a_sign_of_life_gives_a_node_more_time(account: Account) -> None:
    """The timeout begins anew."""
    waits = shrink(account)
    account.wait(60)
    account.client("autoscaling").record_lifecycle_action_heartbeat(
        AutoScalingGroupName="nodes", LifecycleHookName="terminate", InstanceId=waits
    )
    account.wait(60)
    assert account.ec2_state(waits) == "running"
    account.wait(60)
    assert account.ec2_state(waits) == "terminated"


def test_nobody_lets_go_a_node_that_does_not_wait(account: Account) -> None:
    """AWS refuses that, and nodes rely on it."""
    (node, _) = account.states()
    with pytest.raises(
        botocore.exceptions.ClientError, match="No active Lifecycle Action found with instance"
    ):
        let_go(account, node)


def test_an_unhealthy_node_waits_while_its_replacement_comes(account: Account) -> None:
    """It counts no more for the group's size."""
    (sick, _) = account.states()
    account.client("autoscaling").set_instance_health(
        InstanceId=sick, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False
    )
    account.wait()
    assert sorted(account.states().values()) == ["InService", "InService", "Terminating:Wait"]


def test_a_dead_node_is_not_waited_for(account: Account) -> None:
    """EC2 has terminated it: there is nobody who could say that it is ready."""
    waits = shrink(account)
    account.client("ec2").terminate_instances(InstanceIds=[waits])
    account.wait()
    assert waits not in account.states()


def test_a_hook_that_is_deleted_holds_nobody_back(account: Account) -> None:
    """As when a stack is destroyed: the hook goes before the group."""
    waits = shrink(account)
    account.client("autoscaling").delete_lifecycle_hook(
        AutoScalingGroupName="nodes", LifecycleHookName="terminate"
    )
    account.wait()
    assert account.ec2_state(waits) == "terminated"


def test_a_group_is_deleted_when_its_nodes_are_gone_or_by_force(account: Account) -> None:
    """By force nobody waits for anything."""
    groups = account.client("autoscaling")
    waits = shrink(account)
    with pytest.raises(botocore.exceptions.ClientError, match="while there are instances in it"):
        groups.delete_auto_scaling_group(AutoScalingGroupName="nodes")
    groups.delete_auto_scaling_group(AutoScalingGroupName="nodes", ForceDelete=True)
    account.wait()
    assert account.ec2_state(waits) == "terminated"
    assert groups.describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert groups.describe_lifecycle_hooks(AutoScalingGroupName="nodes")["LifecycleHooks"] == []


def test_nodes_in_service_are_targets_and_those_that_go_are_not(account: Account) -> None:
    """Out before the wait, in once in service, and the dead are tidied away."""
    arn = target_group(account)
    assert targets(account, arn) == set(account.states())
    waits = shrink(account)
    assert targets(account, arn) == set(account.states()) - {waits}
    let_go(account, waits)
    (left,) = account.states()
    account.client("ec2").terminate_instances(InstanceIds=[left])
    account.wait()
    (new,) = account.states()
    assert targets(account, arn) == {new}


def test_a_node_that_left_the_balancer_itself_is_not_put_in_again(account: Account) -> None:
    """A drained node deregisters itself, twice even: neither is an error, and the loop leaves it out."""
    arn = target_group(account)
    (node, other) = account.states()
    for _ in range(2):
        account.client("elbv2").deregister_targets(TargetGroupArn=arn, Targets=[{"Id": node}])
    account.wait()
    assert targets(account, arn) == {other}


def test_one_node_is_terminated_on_request(account: Account) -> None:
    """With the size, or it is replaced."""
    groups = account.client("autoscaling")
    (first, second) = account.states()
    groups.terminate_instance_in_auto_scaling_group(InstanceId=first, ShouldDecrementDesiredCapacity=True)
    account.wait()
    assert account.states() == {first: "Terminating:Wait", second: "InService"}
    groups.terminate_instance_in_auto_scaling_group(InstanceId=second, ShouldDecrementDesiredCapacity=False)
    account.wait()
    assert sorted(account.states().values()) == ["InService", "Terminating:Wait", "Terminating:Wait"]
