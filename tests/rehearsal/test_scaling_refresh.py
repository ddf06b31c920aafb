"""An instance refresh replaces every node, new ones first, and goes back at an alarm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.exceptions
import pytest

from tests.rehearsal.scaling_account import HOOK, Account, scaling_account

WARMUP = 50
PREFERENCES = {
    "MinHealthyPercentage": 100,
    "MaxHealthyPercentage": 110,
    "InstanceWarmup": WARMUP,
    "SkipMatching": True,
    "AutoRollback": True,
    "AlarmSpecification": {"Alarms": ["errors"]},
}
"""As our serving group has them."""


@pytest.fixture
def account() -> Iterator[Account]:
    """An account with a group of two nodes of version 1, and a version 2."""
    with scaling_account() as made:
        template = made.template()
        made.next_version(template, "two")
        made.group(template, 2, LifecycleHookSpecificationList=[HOOK])
        yield made


def specification(account: Account, version: str) -> dict[str, str]:
    """Return what names a version of the template."""
    (found,) = account.client("ec2").describe_launch_templates()["LaunchTemplates"]
    return {"LaunchTemplateId": found["LaunchTemplateId"], "Version": version}


def start(account: Account, version: str = "2", **preferences: Any) -> str:
    """Give the group another version and start a refresh, as the AWS plugin does; return its id."""
    account.wait(1)
    groups, template = account.client("autoscaling"), specification(account, version)
    groups.update_auto_scaling_group(AutoScalingGroupName="nodes", LaunchTemplate=template)
    begun = groups.start_instance_refresh(
        AutoScalingGroupName="nodes",
        Strategy="Rolling",
        Preferences={**PREFERENCES, **preferences},
        DesiredConfiguration={"LaunchTemplate": template},
    )
    return str(begun["InstanceRefreshId"])


def shown(account: Account) -> dict[str, Any]:
    """Return the newest refresh as the API shows it."""
    found = account.client("autoscaling").describe_instance_refreshes(AutoScalingGroupName="nodes")
    first: dict[str, Any] = found["InstanceRefreshes"][0]
    return first


def let_go(account: Account) -> None:
    """Let all nodes that wait go on."""
    for node, state in account.states().items():
        if state == "Terminating:Wait":
            account.client("autoscaling").complete_lifecycle_action(
                AutoScalingGroupName="nodes",
                LifecycleHookName="terminate",
                InstanceId=node,
                LifecycleActionResult="CONTINUE",
            )
    account.wait()


def raise_alarm(account: Account, state: str) -> None:
    """Set the alarm that rolls back."""
    watch = account.client("cloudwatch")
    watch.put_metric_alarm(
        AlarmName="errors",
        Namespace="none",
        MetricName="none",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    watch.set_alarm_state(AlarmName="errors", StateValue=state, StateReason="a test")


def test_new_nodes_come_before_old_ones_go(account: Account) -> None:
    """One more than the group's size at a time, each warm before an old one goes, and each old one drains."""
    begun = start(account)
    account.wait()
    assert account.versions() == ["1", "1", "2"]
    assert (shown(account)["Status"], shown(account)["PercentageComplete"]) == ("InProgress", 0)
    account.wait(WARMUP - 1)
    assert account.versions() == ["1", "1", "2"]
    account.wait(1)
    assert sorted(account.states().values()) == ["InService", "InService", "InService", "Terminating:Wait"]
    assert account.versions() == ["1", "2", "2"]
    let_go(account)
    account.wait(WARMUP)
    let_go(account)
    account.wait(WARMUP)
    assert account.versions() == ["2", "2"]
    assert (shown(account)["InstanceRefreshId"], shown(account)["Status"]) == (begun, "Successful")
    assert len(account.states()) == 2


def test_never_fewer_ready_nodes_than_the_group_has(account: Account) -> None:
    """At every look, two nodes serve that either were there before or are warm."""
    start(account)
    while shown(account)["Status"] != "Successful":
        account.wait(5)
        let_go(account)
        assert len(account.versions()) in (2, 3)


@pytest.mark.parametrize("most", [110, 200])
def test_as_many_nodes_come_as_go(account: Account, most: int) -> None:
    """None comes in place of the last old ones: it would be more than the group's size, and a ready one would go."""
    start(account, MaxHealthyPercentage=most)
    while shown(account)["Status"] != "Successful":
        account.wait(5)
        let_go(account)
    account.wait(WARMUP)
    let_go(account)
    assert account.told("launched") == ["launched"] * 4
    assert account.told("terminated") == ["terminated"] * 2


def test_nodes_that_fit_already_stay(account: Account) -> None:
    """Nothing is replaced where nothing has changed."""
    before = account.states()
    start(account, "1")
    account.wait()
    assert shown(account)["Status"] == "Successful"
    assert account.states() == before


def test_an_alarm_brings_the_old_nodes_back(account: Account) -> None:
    """What was replaced is replaced again, by what it was before the group was changed."""
    start(account)
    account.wait()
    account.wait(WARMUP)
    let_go(account)
    assert account.versions() == ["1", "2", "2"]
    raise_alarm(account, "ALARM")
    account.wait()
    assert shown(account)["Status"] == "RollbackInProgress"
    assert shown(account)["StatusReason"] == "The alarm errors was raised."
    for _ in range(4):
        account.wait(WARMUP)
        let_go(account)
    assert account.versions() == ["1", "1"]
    assert shown(account)["Status"] == "RollbackSuccessful"
    (group,) = account.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert group["LaunchTemplate"]["Version"] == "1"


def test_without_rollback_an_alarm_ends_it(account: Account) -> None:
    """Failed, and the nodes stay as they are."""
    raise_alarm(account, "ALARM")
    start(account, AutoRollback=False)
    account.wait()
    assert shown(account)["Status"] == "Failed"
    assert account.versions() == ["1", "1"]


def test_a_refresh_is_cancelled_and_a_second_one_refused(account: Account) -> None:
    """One at a time; cancelled, the group has its size again."""
    groups = account.client("autoscaling")
    with pytest.raises(botocore.exceptions.ClientError, match="ActiveInstanceRefreshNotFound"):
        groups.cancel_instance_refresh(AutoScalingGroupName="nodes")
    start(account)
    account.wait()
    with pytest.raises(botocore.exceptions.ClientError, match="InstanceRefreshInProgress"):
        start(account)
    groups.cancel_instance_refresh(AutoScalingGroupName="nodes")
    account.wait()
    assert shown(account)["Status"] == "Cancelled"
    assert len(account.versions()) == 2


def test_a_refresh_is_rolled_back_on_request(account: Account) -> None:
    """As from the console."""
    start(account)
    account.wait()
    account.client("autoscaling").rollback_instance_refresh(AutoScalingGroupName="nodes")
    account.wait()
    let_go(account)
    assert shown(account)["Status"] == "RollbackSuccessful"
    assert account.versions() == ["1", "1"]


def test_a_group_of_none_is_done_at_once(account: Account) -> None:
    """A serving group before its first release."""
    account.client("autoscaling").set_desired_capacity(AutoScalingGroupName="nodes", DesiredCapacity=0)
    account.wait()
    let_go(account)
    start(account)
    account.wait()
    assert shown(account)["Status"] == "Successful"


def test_fewer_healthy_nodes_may_be_enough(account: Account) -> None:
    """At 50 %, one of two goes before a new one is there, and none is above the group's size."""
    start(account, MinHealthyPercentage=50, MaxHealthyPercentage=100)
    account.wait()
    living = [state for state in account.states().values() if state in ("Pending", "InService")]
    assert len(living) == 2
    assert account.versions() == ["1", "2"]


def test_rollback_needs_to_know_what_for(account: Account) -> None:
    """AWS refuses an automatic rollback without the configuration that is wished."""
    with pytest.raises(botocore.exceptions.ClientError, match="AutoRollback parameter cannot be set to true"):
        account.client("autoscaling").start_instance_refresh(
            AutoScalingGroupName="nodes", Preferences={"AutoRollback": True}
        )
