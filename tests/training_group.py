"""A training group on loopback: an emulated AWS says who is there, every node is a real `python -m model_code.node`.

The emulator gives out addresses of a VPC in 127.0.0.0/8, which any process here can bind: the nodes meet as they would
on EC2. What it does not have (lifecycle actions) is said in the tests.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from moto import mock_aws

from tests.metadata import MetadataServer

ROOT = Path(__file__).parents[1]
REGION = "us-east-1"


@contextmanager
def emulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have AWS emulated in this process, without its thousand public images: they take seconds to load."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield


def make_group(name: str, nodes: int, cidr: str) -> None:
    """Make an Auto Scaling group of some nodes in a VPC of its own."""
    ec2, autoscaling = boto3.client("ec2", REGION), boto3.client("autoscaling", REGION)
    vpc = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=cidr)["Subnet"]["SubnetId"]
    data = {
        "ImageId": "ami-12c6146b",
        "InstanceType": "g6.xlarge",
        "UserData": base64.b64encode(b"x").decode(),
    }
    template = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)["LaunchTemplate"]
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"], "Version": "1"},
        MinSize=0,
        MaxSize=60,
        DesiredCapacity=nodes,
        VPCZoneIdentifier=subnet,
        NewInstancesProtectedFromScaleIn=False,
    )


def described(name: str) -> dict[str, Any]:
    """Return what the emulator says of a group."""
    groups = boto3.client("autoscaling", REGION).describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    found: dict[str, Any] = groups["AutoScalingGroups"][0]
    return found


def instances(name: str) -> list[str]:
    """Return the ids of a group's nodes."""
    return sorted(one["InstanceId"] for one in described(name)["Instances"])


def serve_bundle(folder: Path) -> tuple[str, str]:
    """Zip the serving room; return URI and SHA-256."""
    from model_code.store import sha256_file

    path = folder / "serve.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((ROOT / "serve_config").glob("*.*")):
            archive.write(file, f"serve_config/{file.name}")
    return path.as_uri(), sha256_file(path)


@dataclass(kw_only=True)
class Group:
    """A training group and its nodes."""

    environment: dict[str, str]
    """What user data would write."""
    metadata: MetadataServer
    """Of all its machines."""
    logs: Path
    """Folder of a log a node."""
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    """Instance id -> its program."""

    def boot(self, instance: str) -> None:
        """Start a node's program on one of the emulator's instances."""
        self.metadata.values[instance] = {"instance-id": instance}
        variables = {
            **os.environ,
            **self.environment,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.metadata.endpoint(instance),
            "CUDA_VISIBLE_DEVICES": "",
        }
        with (self.logs / f"{instance}.log").open("wb") as log:
            self.nodes[instance] = subprocess.Popen(
                [sys.executable, "-m", "model_code.node"],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=variables,
                start_new_session=True,
            )

    def said(self, instance: str) -> str:
        """Return what a node said so far."""
        return (self.logs / f"{instance}.log").read_text(errors="replace")

    def vanish(self, instance: str) -> None:
        """End an instance as a host that fails does: all its processes at once, and AWS sees it gone."""
        process = psutil.Process(self.nodes[instance].pid)
        for one in [process, *process.children(recursive=True)]:
            one.suspend()  # nobody says goodbye
        for one in [process, *process.children(recursive=True)]:
            one.kill()
        self.nodes.pop(instance).wait()
        boto3.client("ec2", REGION).terminate_instances(InstanceIds=[instance])

    def terminated(self, instance: str) -> None:
        """Have the metadata say that the group terminates an instance."""
        self.metadata.values[instance]["autoscaling/target-lifecycle-state"] = "Terminated"

    def close(self) -> None:
        """End what still runs."""
        for process in self.nodes.values():
            if process.poll() is None:
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                for one in family:
                    one.kill()
            process.wait()
        self.metadata.close()


def until(state: Callable[[], Any], seconds: float = 60, what: Callable[[], str] = str) -> Any:
    """Wait for a state, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := state()):
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)
    return found
