"""A small world for tests that run inside of one: an emulated account and a group of nodes with a script of theirs."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.rehearsal import addresses
from infra.rehearsal.authority import Authority
from infra.rehearsal.emulator import Emulator, Place, start_emulator
from infra.rehearsal.machines.image import make_image
from infra.rehearsal.machines.machine import Machine
from infra.rehearsal.machines.metadata import Metadata
from infra.rehearsal.machines.network import Network
from infra.rehearsal.machines.runner import Runner
from infra.rehearsal.story import Event, Story, read

REGION = "eu-central-1"
MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class SmallWorld:
    """What tests look at."""

    folder: Path
    emulator: Emulator
    metadata: Metadata
    runner: Runner
    story: Story

    def events(self, kind: str = "node") -> list[Event]:
        """Return what was told."""
        return [one for one in read(self.story.path)[0] if one.kind == kind]

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
        """Wait for something and return it."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, f"{what}: not within {seconds} s; {self.consoles()}"
            time.sleep(0.05)
        return found

    def consoles(self) -> str:
        """Return what all nodes said."""
        return "\n".join(f"{one}:\n{one.read_text()}" for one in self.folder.glob("nodes/*/console.log"))

    def nodes(self, count: int) -> list[Machine]:
        """Wait for so many booted nodes, and return them by their addresses."""

        def booted() -> list[Machine]:
            found = [one for one in self.runner.machines.values() if one.booted]
            return sorted(found, key=lambda one: one.address) if len(found) == count else []

        return list(self.until(booted, f"{count} nodes"))

    def group(self, name: str, script: str, size: int) -> None:
        """Make a group of nodes that run a script, with a role that may do nothing but list buckets."""
        ec2, groups, iam = (self.emulator.client(one, REGION) for one in ("ec2", "autoscaling", "iam"))
        trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        rights = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))
        iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=_policy(rights))
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.0.0/20")["Subnet"]["SubnetId"]
        ec2.create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData={
                "ImageId": "ami-12c6146b",
                "InstanceType": "m7i.large",
                "IamInstanceProfile": {"Name": name},
                "UserData": base64.b64encode(script.encode()).decode(),
            },
        )
        groups.create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchTemplate={"LaunchTemplateName": name, "Version": "1"},
            MinSize=0,
            MaxSize=9,
            DesiredCapacity=size,
            VPCZoneIdentifier=subnet,
        )


@contextmanager
def small_world(folder: Path) -> Iterator[SmallWorld]:
    """Start one in this very world's namespaces, and end it."""
    place = Place(address=addresses.AWS, port=443, authority=Authority.make(folder / "authority"))
    with start_emulator(folder / "aws", place=place) as emulator:
        network, story = Network(), Story(folder / "events.jsonl")
        metadata = Metadata(emulator)
        image = make_image(folder / "image", emulator.endpoint, emulator.ca, disk_bytes=64 * MIB)
        runner = Runner(
            emulator, network, metadata, image, folder / "nodes", story, grace_s=5.0, checks_s=0.5
        )
        network.start()
        metadata.start()
        runner.start()
        try:
            yield SmallWorld(folder=folder, emulator=emulator, metadata=metadata, runner=runner, story=story)
        finally:
            runner.stop()
            metadata.stop()


def _policy(statement: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
