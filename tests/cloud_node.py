"""An emulated AWS around one serving node: its group, its target group, its key."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path
from typing import Any

import boto3

from serve_config.cloud_settings import CloudSettings
from tests.serving import NAME, canonical

REGION = "us-east-1"


class Place:
    """A group of two nodes behind a target group, in whatever AWS the environment points at."""

    def __init__(self) -> None:
        self.ec2, self.groups = boto3.client("ec2", REGION), boto3.client("autoscaling", REGION)
        self.balancing, self.keys = boto3.client("elbv2", REGION), boto3.client("kms", REGION)
        self.group = f"serve-{uuid.uuid4().hex[:8]}"
        """The group's name, and the target group's: several places may be in one emulated AWS."""
        vpc = self.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        subnet = self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
        target = self.balancing.create_target_group(Name=self.group, Protocol="HTTPS", Port=8443, VpcId=vpc)
        self.target_group = str(target["TargetGroups"][0]["TargetGroupArn"])
        self.ec2.create_launch_template(
            LaunchTemplateName=self.group,
            LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "m7i.large"},
        )
        self.groups.create_auto_scaling_group(
            AutoScalingGroupName=self.group,
            LaunchTemplate={"LaunchTemplateName": self.group, "Version": "1"},
            MinSize=2,
            MaxSize=3,
            VPCZoneIdentifier=subnet,
            TargetGroupARNs=[self.target_group],
        )
        key = self.keys.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
        self.key = str(key["KeyMetadata"]["Arn"])

    def instances(self) -> list[dict[str, Any]]:
        """Return the group's instances as it sees them."""
        found = self.groups.describe_auto_scaling_groups(AutoScalingGroupNames=[self.group])
        return list(found["AutoScalingGroups"][0]["Instances"])

    def registered(self) -> set[str]:
        """Return the ids that the target group sends requests to."""
        found = self.balancing.describe_target_health(TargetGroupArn=self.target_group)
        return {one["Target"]["Id"] for one in found["TargetHealthDescriptions"]}

    def settings(self, folder: Path, **changes: Any) -> CloudSettings:
        """Return a node's settings here."""
        facts: dict[str, Any] = {
            "models": (folder / "models").as_uri(),
            "name": NAME,
            "signing_key": self.key,
            "group": self.group,
            "target_group": self.target_group,
            "metrics_namespace": "Skylift/test",
            "region": REGION,
            "state": folder / "state",
            "hook": "",
        }
        return CloudSettings(**{**facts, **changes})


class KmsSigner:
    """Signs releases with a KMS key, as `tests.serving.Signer` does with one of its own."""

    def __init__(self, key: str) -> None:
        self._key, self._keys = key, boto3.client("kms", REGION)

    def sign(self, value: object) -> str:
        """Return the signature of a JSON value."""
        made = self._keys.sign(
            KeyId=self._key, Message=canonical(value), MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256"
        )
        return base64.b64encode(made["Signature"]).decode()
