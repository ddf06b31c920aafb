"""This node among the others: its place in the Auto Scaling group and in the load balancer's target group."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from serve_config.background import in_background
from serve_config.cloud_settings import CloudSettings
from serve_config.processes import log

RETRIES = Config(retries={"mode": "standard", "total_max_attempts": 8}, connect_timeout=5, read_timeout=20)
"""Throttled and failed calls are tried again with growing, random pauses: many nodes boot at once."""

AWS_ERRORS = (BotoCoreError, ClientError)
"""What a call to AWS may raise: no answer, no credentials, or a refusal."""


@dataclass(frozen=True, kw_only=True)
class Clients:
    """The AWS services that a serving node asks."""

    autoscaling: Any
    """Auto Scaling."""
    balancing: Any
    """Elastic Load Balancing v2."""
    keys: Any
    """KMS."""
    metrics: Any
    """CloudWatch."""


def clients(region: str) -> Clients:
    """Return clients that take credentials, endpoints and CAs from the environment."""
    session = boto3.Session(region_name=region)

    def client(service: str) -> Any:  # noqa: ANN401 - botocore makes the type at run time
        return session.client(service, config=RETRIES)

    return Clients(
        autoscaling=client("autoscaling"),
        balancing=client("elbv2"),
        keys=client("kms"),
        metrics=client("cloudwatch"),
    )


class Fleet:
    """What this node may do to its own place, and see of the others'."""

    def __init__(self, settings: CloudSettings, aws: Clients, instance: str) -> None:
        """Ask nothing yet.

        Args:
            settings: the node's.
            aws: the services.
            instance: this node's instance id.
        """
        self._settings, self._aws = settings, aws
        self.instance = instance
        """This node's instance id."""

    def leave_balancer(self) -> None:
        """Take this node out of the target group: no new requests come, those in flight go on."""
        targets = [{"Id": self.instance}]
        self._aws.balancing.deregister_targets(TargetGroupArn=self._settings.target_group, Targets=targets)

    def in_balancer(self) -> bool:
        """Tell whether the load balancer still sends this node requests, or waits for those in flight."""
        return self._states([{"Id": self.instance}]).get(self.instance, "unused") != "unused"

    def healthy_others(self) -> int:
        """Return how many other nodes the load balancer finds healthy."""
        states = self._states()
        return sum(state == "healthy" for one, state in states.items() if one != self.instance)

    def report_unhealthy(self) -> None:
        """Ask the group to replace this node: what could be repaired here was tried."""
        self._aws.autoscaling.set_instance_health(
            InstanceId=self.instance, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False
        )

    def let_go(self) -> None:
        """Tell the group that this node has drained, where it waits for that."""
        if self._settings.hook:
            self._aws.autoscaling.complete_lifecycle_action(
                AutoScalingGroupName=self._settings.group,
                LifecycleHookName=self._settings.hook,
                InstanceId=self.instance,
                LifecycleActionResult="CONTINUE",
            )

    def members(self) -> list[str]:
        """Return the ids of the group's nodes that are in service, this one among them."""
        instances = self._group().get("Instances", ())
        serving = {one["InstanceId"] for one in instances if one["LifecycleState"] == "InService"}
        return sorted(serving | {self.instance})

    def size(self) -> int:
        """Return how many nodes the group is to have: one number, where `members` names all that are there."""
        return max(1, int(self._group(IncludeInstances=False).get("DesiredCapacity", 1)))

    def _group(self, **words: bool) -> dict[str, Any]:
        answer = self._aws.autoscaling.describe_auto_scaling_groups(
            AutoScalingGroupNames=[self._settings.group], **words
        )
        groups = answer["AutoScalingGroups"]
        return dict(groups[0]) if groups else {}

    def _states(self, targets: Sequence[dict[str, str]] = ()) -> dict[str, str]:
        """Return the states of some targets, of all where none is named: a thousand that leave ask for one each."""
        named = {"Targets": list(targets)} if targets else {}
        found = self._aws.balancing.describe_target_health(
            TargetGroupArn=self._settings.target_group, **named
        )
        return {
            one["Target"]["Id"]: one["TargetHealth"]["State"] for one in found["TargetHealthDescriptions"]
        }


def public_key(aws: Clients, key: str) -> bytes:
    """Return the public half of a KMS key as PEM (RFC 7468: base64 of the DER that KMS gives, 64 a line)."""
    text = base64.b64encode(aws.keys.get_public_key(KeyId=key)["PublicKey"]).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""]).encode()


async def tried(call: Callable[[], None], what: str) -> bool:
    """Make a call to AWS; a refusal is said, and the node goes on with what is left to do."""
    try:
        await in_background(call)
    except AWS_ERRORS as error:
        log(f"could not {what}: {error}")
        return False
    return True
