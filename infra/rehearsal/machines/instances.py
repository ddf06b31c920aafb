"""The emulated account as the runner asks it: which instances should run, from what, as whom. No state of its own."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from infra.rehearsal.emulator import Emulator
from infra.rehearsal.machines.metadata import Facts
from infra.rehearsal.provider.properties import Value

GROUP_TAG = "aws:autoscaling:groupName"
RUNNING = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One that should run."""

    facts: Facts
    """What it can learn of itself."""
    group: str
    """Its Auto Scaling group's name; empty: none."""

    @property
    def room(self) -> str:
        """Whose work it does, by the name of its group; see infra/names.py."""
        return (
            "serve" if self.group.endswith("-serve") else "train" if "-train-" in self.group else self.group
        )


class Instances:
    """EC2, Auto Scaling and IAM of one region."""

    def __init__(self, emulator: Emulator, region: str) -> None:
        """Make clients, with the rights of the operator."""
        self._ec2 = emulator.client("ec2", region)
        self._groups = emulator.client("autoscaling", region)
        self._iam = emulator.client("iam", region)
        self._roles: dict[str, str] = {}

    def running(self) -> dict[str, Instance]:
        """Return those that should run, by id.

        Raises:
            botocore.exceptions.BotoCoreError: the emulated account does not answer.
            botocore.exceptions.ClientError: it refuses.
        """
        pages = self._ec2.get_paginator("describe_instances").paginate(Filters=RUNNING)
        found = [one for page in pages for part in page["Reservations"] for one in part["Instances"]]
        if not found:
            return {}
        pages = self._groups.get_paginator("describe_auto_scaling_instances").paginate()
        members = {one["InstanceId"]: one for page in pages for one in page["AutoScalingInstances"]}
        return {one["InstanceId"]: self._instance(one, members.get(one["InstanceId"], {})) for one in found}

    def user_data(self, instance_id: str) -> str:
        """Return an instance's boot script."""
        said = self._ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
        return base64.b64decode(said["UserData"].get("Value", "")).decode()

    def terminate(self, instance_id: str) -> None:
        """End an instance, as EC2 does when it takes it back, or when it was switched off from inside."""
        self._ec2.terminate_instances(InstanceIds=[instance_id])

    def unhealthy(self, instance_id: str) -> None:
        """Say that an instance does not answer EC2's status checks: its group brings another."""
        self._groups.set_instance_health(
            InstanceId=instance_id, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False
        )

    def _instance(self, said: Mapping[str, Value], member: Mapping[str, Value]) -> Instance:
        tags = {tag["Key"]: tag["Value"] for tag in said.get("Tags", [])}
        state = str(member.get("LifecycleState", ""))
        facts = Facts(
            instance_id=said["InstanceId"],
            address=said["PrivateIpAddress"],
            zone=said["Placement"]["AvailabilityZone"],
            instance_type=said["InstanceType"],
            image_id=said["ImageId"],
            role_arn=self._role(said, member),
            lifecycle="Terminated" if state.startswith("Terminat") else "InService" if state else "",
        )
        return Instance(facts=facts, group=str(tags.get(GROUP_TAG, "")))

    def _role(self, said: Mapping[str, Value], member: Mapping[str, Value]) -> str:
        """Return the role of an instance's profile; moto leaves the profile of a template out of its instances."""
        if (instance_id := said["InstanceId"]) not in self._roles:
            profile = said.get("IamInstanceProfile", {}).get("Arn", "") or self._profile(member)
            self._roles[instance_id] = self._role_of(profile) if profile else ""
        return self._roles[instance_id]

    def _profile(self, member: Mapping[str, Value]) -> str:
        template = member.get("LaunchTemplate")
        if not template:
            return ""
        found = self._ec2.describe_launch_template_versions(
            LaunchTemplateId=template["LaunchTemplateId"], Versions=[str(template["Version"])]
        )["LaunchTemplateVersions"]
        profile = found[0]["LaunchTemplateData"].get("IamInstanceProfile", {}) if found else {}
        return str(profile.get("Arn") or profile.get("Name", ""))

    def _role_of(self, profile: str) -> str:
        name = profile.rpartition("/")[2]
        roles = self._iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
        return str(roles[0]["Arn"]) if roles else ""
