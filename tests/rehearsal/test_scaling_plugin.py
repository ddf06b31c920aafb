"""The stand-in for the AWS plugin starts instance refreshes, and lets nodes go before it deletes their group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from infra.rehearsal.provider import lifecycle
from infra.rehearsal.provider.clients import Clients
from infra.rehearsal.provider.table import TABLE
from infra.rehearsal.provider.target import CallError, Target
from tests.rehearsal.scaling_account import HOOK, REGION, Account, scaling_account
from tests.rehearsal.test_scaling_refresh import let_go, shown
from tests.stacks import recorded

URN = "urn:pulumi:dev::skylift::aws:autoscaling/group:Group::nodes"
GROUP = "aws:autoscaling/group:Group"


class Waiting:
    """Stands for the engine's word to stop: while it is waited for, time passes for the group."""

    def __init__(self, account: Account, stop_after: float = 1e9) -> None:
        """Take the account, and when the word comes."""
        self._account, self._stop_after = account, stop_after

    def wait(self, seconds: float) -> bool:
        """Let time pass; return whether the word came."""
        self._account.wait(seconds * 100)
        self._stop_after -= seconds * 100
        return self._stop_after <= 0


@pytest.fixture
def account() -> Iterator[Account]:
    """An empty account whose groups the loop keeps."""
    with scaling_account() as made:
        yield made


def inputs(account: Account, template: str, version: str) -> dict[str, Any]:
    """Return a group as the program asks for it, with the very preferences of its serving group."""
    (serving,) = [
        one.inputs
        for one in recorded("dev").resources
        if one.type == GROUP and "instanceRefresh" in one.inputs
    ]
    return {
        "name": "nodes",
        "minSize": 0,
        "maxSize": 4,
        "desiredCapacity": 2,
        "vpcZoneIdentifiers": [one["SubnetId"] for one in account.subnets()[:2]],
        "mixedInstancesPolicy": {
            "launchTemplate": {
                "launchTemplateSpecification": {"launchTemplateId": template, "version": version},
                "overrides": [{"instanceType": "t3.micro"}],
            },
            "instancesDistribution": {"onDemandBaseCapacity": 1},
        },
        "instanceRefresh": serving["instanceRefresh"],
        "initialLifecycleHooks": [
            {
                "name": HOOK["LifecycleHookName"],
                "lifecycleTransition": HOOK["LifecycleTransition"],
                "heartbeatTimeout": HOOK["HeartbeatTimeout"],
                "defaultResult": HOOK["DefaultResult"],
            }
        ],
        "defaultInstanceWarmup": 30,
        "tags": [],
    }


def target(asked: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> Target:
    """Return the group as the engine speaks of it."""
    return Target(
        row=TABLE[GROUP],
        urn=URN,
        clients=Clients(REGION),
        inputs=dict(asked),
        id="nodes" if before else "",
        before=dict(before or {}),
    )


def made(account: Account) -> tuple[str, dict[str, Any]]:
    """Make the group of version 1, and a version 2; return the template and what was asked for."""
    template = account.template()
    account.next_version(template, "two")
    asked = inputs(account, template, "1")
    lifecycle.create(target(asked))
    account.wait()
    return template, asked


def test_a_new_version_is_rolled_out(account: Account) -> None:
    """With the program's own preferences, and what shall be named, so that it can go back."""
    template, before = made(account)
    assert account.versions() == ["1", "1"]
    account.wait(1)
    after = inputs(account, template, "2")
    lifecycle.update(target(after, before), {"mixedInstancesPolicy"})
    refresh = shown(account)
    assert refresh["Preferences"] == {
        "AlarmSpecification": {"Alarms": ["skylift-dev-serve-errors", "skylift-dev-serve-unhealthy"]},
        "AutoRollback": True,
        "InstanceWarmup": int(before["instanceRefresh"]["preferences"]["instanceWarmup"]),
        "MaxHealthyPercentage": 110,
        "MinHealthyPercentage": 100,
        "SkipMatching": True,
    }
    specification = refresh["DesiredConfiguration"]["MixedInstancesPolicy"]["LaunchTemplate"][
        "LaunchTemplateSpecification"
    ]
    assert (specification["LaunchTemplateId"], specification["Version"]) == (template, "2")
    while shown(account)["Status"] != "Successful":
        account.wait(100)
        let_go(account)
    assert account.versions() == ["2", "2"]
    assert lifecycle.read(target(after, before)) is not None
    assert lifecycle.drifted(target(after, before), lifecycle.look(target(after, before)) or {}) == {}


def test_an_update_leaves_the_sizes_that_nodes_have_set(account: Account) -> None:
    """The program ignores them, so the engine asks for the old ones; the plugin does not pass those on."""
    template, before = made(account)
    before = {**before, "desiredCapacity": 0}
    account.client("autoscaling").set_desired_capacity(AutoScalingGroupName="nodes", DesiredCapacity=3)
    account.wait()
    after = {**inputs(account, template, "2"), "desiredCapacity": 0}
    lifecycle.update(target(after, before), {"mixedInstancesPolicy"})
    (found,) = account.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert found["DesiredCapacity"] == 3
    policy = found["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]
    assert policy["Version"] == "2"


def test_a_newer_version_takes_the_place_of_a_refresh_that_runs(account: Account) -> None:
    """It is cancelled: the plugin does that too."""
    template, before = made(account)
    account.next_version(template, "three")
    second, third = (inputs(account, template, version) for version in "23")
    lifecycle.update(target(second, before), {"mixedInstancesPolicy"})
    lifecycle.update(target(third, second), {"mixedInstancesPolicy"})
    found = account.client("autoscaling").describe_instance_refreshes(AutoScalingGroupName="nodes")
    assert [one["Status"] for one in found["InstanceRefreshes"]] == ["Pending", "Cancelled"]


@pytest.mark.parametrize("changed", ["maxSize", "instanceRefresh"])
def test_nothing_else_starts_one(account: Account, changed: str) -> None:
    """Another size needs no other nodes."""
    template, before = made(account)
    lifecycle.update(target({**inputs(account, template, "1"), "maxSize": 5}, before), {changed})
    found = account.client("autoscaling").describe_instance_refreshes(AutoScalingGroupName="nodes")
    assert found["InstanceRefreshes"] == []


def delete(
    account: Account, asked: Mapping[str, Any], *, patience: float = 0.0, stop_after: float = 1e9
) -> None:
    """Delete the group while time passes for it."""
    gone = target(asked, asked)
    gone.patience = patience
    gone.clients.stopping = Waiting(account, stop_after)  # type: ignore[assignment]
    lifecycle.delete(gone)


def test_nodes_save_before_their_group_is_deleted(account: Account) -> None:
    """It waits for the hook, and deletes when they are gone."""
    _, asked = made(account)
    began = account.time[0]
    delete(account, asked)
    assert account.time[0] - began >= HOOK["HeartbeatTimeout"]  # type: ignore[operator]
    assert account.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert account.told("terminating")[:2] == ["terminating", "terminating"]


def test_a_deletion_can_be_stopped_and_by_force_waits_for_nobody(account: Account) -> None:
    """Stopped, or out of patience, it says how many nodes there still are."""
    _, asked = made(account)
    with pytest.raises(CallError, match="after 1e-09 s it still has 2 nodes"):
        delete(account, asked, patience=1e-9)
    with pytest.raises(CallError, match="stopped while it has 2 nodes"):
        delete(account, asked, stop_after=0)
    delete(account, {**asked, "forceDelete": True})
    assert account.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert account.told("terminated") == ["terminated"] * 2
