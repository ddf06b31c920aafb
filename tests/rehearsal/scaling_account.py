"""An account in memory whose groups our loop keeps: time passes when a test says so."""

from __future__ import annotations

import base64
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import botocore.session
import pytest
from moto import mock_aws
from moto.autoscaling.responses import AutoScalingResponse
from moto.ec2.models.amis import AmiBackend

from infra.rehearsal import patches
from infra.rehearsal.scaling import calls
from infra.rehearsal.scaling.desk import DESK
from infra.rehearsal.scaling.loop import look
from infra.rehearsal.scaling.takeover import taken_over

REGION = "eu-central-1"
START = 1_800_000_000.0
HOOK = {
    "LifecycleHookName": "terminate",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    "HeartbeatTimeout": 100,
    "DefaultResult": "CONTINUE",
}


@functools.cache
def client(service: str) -> Any:
    """Return a client of a mocked account: one for all tests, as it takes long to make."""
    return botocore.session.get_session().create_client(
        service, region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing"
    )


@dataclass(kw_only=True)
class Account:
    """The account, and its time."""

    time: list[float] = field(default_factory=lambda: [START])
    """Seconds since 1970, in a list of one."""

    def client(self, service: str) -> Any:
        """Return a client of it."""
        return client(service)

    def wait(self, seconds: float = 0.0) -> None:
        """Let time pass, and the loop look twice: what was launched in one look comes into service in the next."""
        self.time[0] += seconds
        look(DESK)
        look(DESK)

    def template(self) -> str:
        """Make a launch template with a profile, a security group and a script; return its id."""
        iam, ec2 = self.client("iam"), self.client("ec2")
        profile = iam.create_instance_profile(InstanceProfileName="nodes")["InstanceProfile"]["Arn"]
        vpc = self.subnets()[0]["VpcId"]
        group = ec2.create_security_group(GroupName="nodes", Description="nodes", VpcId=vpc)["GroupId"]
        made = ec2.create_launch_template(
            LaunchTemplateName="nodes",
            LaunchTemplateData={
                "ImageId": "ami-12c6146b",
                "InstanceType": "t3.micro",
                "UserData": script("one"),
                "IamInstanceProfile": {"Arn": profile},
                "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": [group], "DeleteOnTermination": True}],
                "MetadataOptions": {"HttpTokens": "required"},
                "TagSpecifications": [
                    {"ResourceType": "instance", "Tags": [{"Key": "of", "Value": "template"}]}
                ],
            },
        )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def next_version(self, template: str, text: str) -> str:
        """Make another version of a template, with another script, and return its number."""
        made = self.client("ec2").create_launch_template_version(
            LaunchTemplateId=template,
            SourceVersion="$Latest",
            LaunchTemplateData={
                "ImageId": "ami-12c6146b",
                "InstanceType": "t3.micro",
                "UserData": script(text),
            },
        )
        return str(made["LaunchTemplateVersion"]["VersionNumber"])

    def subnets(self) -> list[dict[str, Any]]:
        """Return the default subnets, one a zone."""
        found = self.client("ec2").describe_subnets()["Subnets"]
        return sorted(found, key=lambda one: str(one["AvailabilityZone"]))

    def group(self, template: str, desired: int, **more: Any) -> str:
        """Make a group of up to 8 nodes in two zones, and let it have its nodes; return its name."""
        asked = {
            "AutoScalingGroupName": "nodes",
            "MinSize": 0,
            "MaxSize": 8,
            "DesiredCapacity": desired,
            "VPCZoneIdentifier": ",".join(one["SubnetId"] for one in self.subnets()[:2]),
            "LaunchTemplate": {"LaunchTemplateId": template, "Version": "1"},
            **more,
        }
        if "MixedInstancesPolicy" in more:
            asked.pop("LaunchTemplate")
        self.client("autoscaling").create_auto_scaling_group(**asked)
        self.wait()
        return str(asked["AutoScalingGroupName"])

    def states(self, group: str = "nodes") -> dict[str, str]:
        """Return the group's instances with their lifecycle state, oldest first."""
        (found,) = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])[
            "AutoScalingGroups"
        ]
        return {one["InstanceId"]: one["LifecycleState"] for one in found["Instances"]}

    def versions(self) -> list[str]:
        """Return the template versions of the nodes in service."""
        found = self.client("autoscaling").describe_auto_scaling_instances()["AutoScalingInstances"]
        return sorted(
            one["LaunchTemplate"]["Version"] for one in found if one["LifecycleState"] == "InService"
        )

    def ec2_state(self, instance: str) -> str:
        """Return how EC2 finds an instance."""
        (found,) = self.client("ec2").describe_instances(InstanceIds=[instance])["Reservations"]
        return str(found["Instances"][0]["State"]["Name"])

    def told(self, *kinds: str) -> list[str]:
        """Return the kinds of the diary's entries, of some kinds alone where any are named."""
        return [one["kind"] for one in DESK.diary.since() if not kinds or one["kind"] in kinds]


def script(text: str) -> str:
    """Return a boot script as a template has it."""
    return base64.b64encode(f"#!/bin/sh\necho {text}\n".encode()).decode()


@contextmanager
def scaling_account() -> Iterator[Account]:
    """Yield an empty account, with our loop's calls but without its thread; moto is as it was afterwards."""
    account = Account()
    with pytest.MonkeyPatch.context() as patch:
        # The engine's tests leave theirs for the session: calls would go to an emulator whose groups nobody here keeps.
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        patch.setattr(DESK.clock, "now", lambda: account.time[0])
        patch.setattr(DESK.clock, "speed", 1.0)
        patch.setattr(DESK.diary, "_entries", [])
        patch.setattr(AmiBackend, "_load_amis", lambda _: None)  # 1,300 images that no test asks for
        patch.setattr(
            patches, "put", lambda owner, value, name: patch.setattr(owner, name, value, raising=False)
        )
        patches.apply()
        for call in calls.ADDED:
            patch.setattr(AutoScalingResponse, call.__name__, call, raising=False)
        with mock_aws(), taken_over():
            yield account
