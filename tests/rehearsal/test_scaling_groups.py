"""A group is kept at its size, as AWS would: in its zones, from its template's version, healthy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.exceptions
import pytest

from tests.rehearsal.scaling_account import Account, scaling_account, script


@pytest.fixture
def account() -> Iterator[Account]:
    """An empty account whose groups the loop keeps."""
    with scaling_account() as made:
        yield made


def resized(account: Account, nodes: int) -> None:
    """Set the group's size and let the loop look."""
    account.client("autoscaling").set_desired_capacity(AutoScalingGroupName="nodes", DesiredCapacity=nodes)
    account.wait()


def test_a_group_gets_its_nodes_over_its_zones(account: Account) -> None:
    """Launched by the loop and not within the call, in service once EC2 says that they run."""
    name = account.group(account.template(), 4)
    found = account.client("autoscaling").describe_auto_scaling_instances()["AutoScalingInstances"]
    zones = sorted(one["AvailabilityZone"] for one in found)
    assert zones == ["eu-central-1a", "eu-central-1a", "eu-central-1b", "eu-central-1b"]
    assert set(account.states(name).values()) == {"InService"}
    assert account.told("launched", "in-service") == ["launched"] * 4 + ["in-service"] * 4


def test_a_node_is_what_its_version_says(account: Account) -> None:
    """Script, profile, security group, metadata and tags come from the version that the group names."""
    template = account.template()
    account.next_version(template, "two")
    account.group(template, 1, Tags=[{"Key": "of", "Value": "group", "PropagateAtLaunch": True}])
    (node,) = account.states()
    ec2 = account.client("ec2")
    (found,) = ec2.describe_instances(InstanceIds=[node])["Reservations"][0]["Instances"]
    data = ec2.describe_instance_attribute(InstanceId=node, Attribute="userData")["UserData"]["Value"]
    tags = {one["Key"]: one["Value"] for one in found["Tags"]}
    assert found["IamInstanceProfile"]["Arn"].endswith(":instance-profile/nodes")
    assert [one["GroupName"] for one in found["SecurityGroups"]] == ["nodes"]
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert tags["aws:autoscaling:groupName"] == "nodes"
    assert tags["aws:ec2launchtemplate:version"] == "1"
    assert data == script("one")
    assert account.versions() == ["1"]


def test_a_node_that_dies_is_replaced(account: Account) -> None:
    """Terminated in EC2 behind the group's back: it is out of the group, and another one is in."""
    account.group(account.template(), 2)
    dead, other = account.states()
    account.client("ec2").terminate_instances(InstanceIds=[dead])
    account.wait()
    assert len(account.states()) == 2
    assert dead not in account.states()
    assert other in account.states()


def test_an_unhealthy_node_is_replaced(account: Account) -> None:
    """Within its grace period only where the caller does not respect it."""
    account.group(account.template(), 1, HealthCheckGracePeriod=60)
    (sick,) = account.states()
    groups = account.client("autoscaling")
    groups.set_instance_health(InstanceId=sick, HealthStatus="Unhealthy")
    account.wait()
    assert list(account.states()) == [sick]
    groups.set_instance_health(InstanceId=sick, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    account.wait()
    assert sick not in account.states()
    assert account.ec2_state(sick) == "terminated"
    assert list(account.states().values()) == ["InService"]


def test_a_group_shrinks_by_its_policy_and_spares_the_protected(account: Account) -> None:
    """The newest goes first, but the leader, which is protected, stays to the last."""
    account.group(account.template(), 3, TerminationPolicies=["NewestInstance"])
    _, second, third = account.states()
    groups = account.client("autoscaling")
    groups.set_instance_protection(
        AutoScalingGroupName="nodes", InstanceIds=[third], ProtectedFromScaleIn=True
    )
    resized(account, 2)
    assert set(account.states()) == {
        second,
        third,
    }  # the fuller zone is the first's and the third's
    resized(account, 0)
    assert set(account.states()) == {third}
    groups.set_instance_protection(
        AutoScalingGroupName="nodes", InstanceIds=[third], ProtectedFromScaleIn=False
    )
    account.wait()
    assert account.states() == {}


def test_a_suspended_process_does_nothing(account: Account) -> None:
    """Neither is a node launched nor one terminated, until the group may again."""
    account.group(account.template(), 1)
    groups = account.client("autoscaling")
    groups.suspend_processes(AutoScalingGroupName="nodes", ScalingProcesses=["Launch", "Terminate"])
    resized(account, 2)
    assert len(account.states()) == 1
    resized(account, 0)
    assert len(account.states()) == 1
    groups.resume_processes(AutoScalingGroupName="nodes", ScalingProcesses=["Launch", "Terminate"])
    account.wait()
    assert account.states() == {}


@pytest.mark.parametrize(("nodes", "said"), [(9, "9 is above max value 8"), (-1, "-1 is below min value 0")])
def test_a_size_out_of_bounds_is_refused(account: Account, nodes: int, said: str) -> None:
    """AWS refuses it too; moto would launch."""
    account.group(account.template(), 0)
    with pytest.raises(botocore.exceptions.ClientError, match=said):
        resized(account, nodes)


def test_a_raised_floor_brings_nodes(account: Account) -> None:
    """What a trainer does when the first release is there."""
    account.group(account.template(), 0)
    account.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName="nodes", MinSize=2)
    account.wait()
    assert len(account.states()) == 2


def test_a_policy_gives_type_and_market(account: Account) -> None:
    """The first type; on demand up to the base, then spot."""
    template = account.template()
    policy: dict[str, Any] = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "1"},
            "Overrides": [{"InstanceType": "t3.large"}, {"InstanceType": "t3.small"}],
        },
        "InstancesDistribution": {"OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 0},
    }
    account.group(template, 3, MixedInstancesPolicy=policy)
    found = [
        one
        for reservation in account.client("ec2").describe_instances()["Reservations"]
        for one in reservation["Instances"]
    ]
    assert {one["InstanceType"] for one in found} == {"t3.large"}
    assert sorted(one.get("InstanceLifecycle", "") for one in found) == ["", "spot", "spot"]


def test_a_launch_that_is_refused_is_told_and_tried_again(account: Account) -> None:
    """A security group that is gone: no node, one entry, and nodes once it is mended."""
    template = account.template()
    ec2 = account.client("ec2")
    data = {
        "ImageId": "ami-12c6146b",
        "InstanceType": "t3.micro",
        "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": ["sg-0123"]}],
    }
    ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=data)
    account.group(template, 1, LaunchTemplate={"LaunchTemplateId": template, "Version": "2"})
    assert account.states() == {}
    assert account.told("refused") == ["refused"]
    account.client("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName="nodes", LaunchTemplate={"LaunchTemplateId": template, "Version": "1"}
    )
    account.wait()
    assert account.versions() == ["1"]
