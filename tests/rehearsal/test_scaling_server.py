"""The emulator's own loop: with a place it keeps groups, without one moto does as it always did."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal.authority import Authority
from infra.rehearsal.emulator import Emulator, EmulatorError, Place, start_emulator

PATIENCE = 120.0
"""Seconds: the loop looks every half, but on a machine that is full it has its turn late."""


def group(emulator: Emulator, nodes: int) -> Any:
    """Make a group and return Auto Scaling's client."""
    ec2, groups = emulator.client("ec2"), emulator.client("autoscaling")
    data = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"}
    ec2.create_launch_template(LaunchTemplateName="nodes", LaunchTemplateData=data)
    groups.create_auto_scaling_group(
        AutoScalingGroupName="nodes",
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=nodes,
        AvailabilityZones=["eu-central-1a"],
        LaunchTemplate={"LaunchTemplateName": "nodes", "Version": "1"},
    )
    return groups


def instances(groups: Any) -> dict[str, str]:
    """Return instances with their lifecycle state."""
    found = groups.describe_auto_scaling_instances()["AutoScalingInstances"]
    return {one["InstanceId"]: one["LifecycleState"] for one in found}


def soon(true: Callable[[], bool]) -> None:
    """Return once it is so.

    Raises:
        TimeoutError: it did not become so.
    """
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def test_with_a_place_groups_are_kept(tmp_path: Path) -> None:
    """Its thread launches, replaces and tells; a wrong speed is refused by name."""
    place = Place(address="127.0.0.1", port=0, authority=Authority.make(tmp_path / "authority"))
    with start_emulator(tmp_path / "emulator", place=place) as emulator:
        groups = group(emulator, 2)
        soon(lambda: list(instances(groups).values()) == ["InService"] * 2)
        dead = next(iter(instances(groups)))
        emulator.client("ec2").terminate_instances(InstanceIds=[dead])
        soon(lambda: list(instances(groups).values()) == ["InService"] * 2 and dead not in instances(groups))
        told = emulator.ask("scaling", speed=10)
        assert (told["running"], told["speed"]) == (True, 10)
        assert [one["kind"] for one in told["events"]].count("launched") == 3
        assert emulator.ask("scaling", since=told["next"])["events"] == []
        with pytest.raises(EmulatorError, match="speed must be 1 to 60"):
            emulator.ask("scaling", speed=0)


def test_without_a_place_nothing_is_kept(tmp_path: Path) -> None:
    """Moto launches within the call, and a refresh is only noted."""
    with start_emulator(tmp_path / "emulator") as emulator:
        groups = group(emulator, 1)
        assert list(instances(groups).values()) == ["InService"]
        begun = groups.start_instance_refresh(AutoScalingGroupName="nodes")["InstanceRefreshId"]
        (shown,) = groups.describe_instance_refreshes(AutoScalingGroupName="nodes")["InstanceRefreshes"]
        assert (shown["InstanceRefreshId"], shown["Status"]) == (begun, "Pending")
        assert emulator.ask("scaling")["running"] is False
