"""What a training node asks of AWS about Auto Scaling groups: who lives, and how many there shall be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from model_code.membership import Living, Member

AwsError = (ClientError, BotoCoreError)
"""What a client raises once its own retries are used up: refused, throttled, no answer, no credentials."""
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"


@dataclass(frozen=True, kw_only=True)
class Clients:
    """The AWS clients of a node: any botocore client, which has no types of its own."""

    autoscaling: Any
    """Auto Scaling."""
    ec2: Any
    """EC2."""
    cloudwatch: Any
    """CloudWatch."""


def make_clients(region: str) -> Clients:
    """Return clients that are patient with throttling, and give up in time for the next look."""
    import boto3
    from botocore.config import Config

    patient = Config(
        retries={"mode": "adaptive", "total_max_attempts": 6}, connect_timeout=5, read_timeout=20
    )
    names = ("autoscaling", "ec2", "cloudwatch")
    return Clients(**{name: boto3.client(name, region_name=region, config=patient) for name in names})


class ScalingGroup:
    """One Auto Scaling group."""

    def __init__(self, clients: Clients, name: str) -> None:
        """Take the group's name."""
        self._clients, self.name = clients, name

    def living(self) -> Living:
        """Return the nodes that are there: in service, as the group says, and running, as EC2 says.

        Two calls, whatever the size of the group (up to 1,000 nodes).
        """
        in_service = {
            one["InstanceId"]
            for one in self._described()["Instances"]
            if one["LifecycleState"] == "InService"
        }
        found = tuple(self._running())
        return Living(
            members=tuple(sorted(one for one in found if one.id in in_service)),
            running=frozenset(one.id for one in found),
        )

    def set_size(self, nodes: int) -> None:
        """Ask for a number of nodes."""
        self._clients.autoscaling.set_desired_capacity(
            AutoScalingGroupName=self.name, DesiredCapacity=nodes, HonorCooldown=False
        )

    def protect(self, node: str, protected: bool) -> None:
        """Keep a node when the group shrinks, or let it go with the others."""
        self._clients.autoscaling.set_instance_protection(
            AutoScalingGroupName=self.name, InstanceIds=[node], ProtectedFromScaleIn=protected
        )

    def raise_floor(self, nodes: int) -> bool:
        """Let the group never have fewer nodes than these; return whether it had a lower floor."""
        if self._described()["MinSize"] >= nodes:
            return False
        self._clients.autoscaling.update_auto_scaling_group(AutoScalingGroupName=self.name, MinSize=nodes)
        return True

    def let_go(self, node: str) -> None:
        """Tell the group, which waits before it terminates a node, that the node is ready."""
        answer = self._clients.autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=self.name)
        for hook in answer["LifecycleHooks"]:
            if hook["LifecycleTransition"] == TERMINATING:
                self._clients.autoscaling.complete_lifecycle_action(
                    LifecycleHookName=hook["LifecycleHookName"],
                    AutoScalingGroupName=self.name,
                    LifecycleActionResult="CONTINUE",
                    InstanceId=node,
                )

    def replace(self, node: str) -> None:
        """Have a node that hangs replaced. It cannot say that it is ready to go: that is said in its place."""
        try:
            self._clients.autoscaling.set_instance_health(
                InstanceId=node, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":  # that: it is on its way out already
                raise
        with suppress(ClientError):  # nobody waits for it yet: the next call says it
            self.let_go(node)

    def _described(self) -> dict[str, Any]:
        groups = self._clients.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])
        for group in groups["AutoScalingGroups"]:
            found: dict[str, Any] = group
            return found
        return {"Instances": [], "MinSize": 0}  # it is being deleted, or replaced

    def _running(self) -> Iterator[Member]:
        pages = self._clients.ec2.get_paginator("describe_instances").paginate(
            Filters=[
                {"Name": "tag:aws:autoscaling:groupName", "Values": [self.name]},
                {"Name": "instance-state-name", "Values": ["running"]},
            ],
            PaginationConfig={"PageSize": 1000},
        )
        for page in pages:
            for reservation in page["Reservations"]:
                for one in reservation["Instances"]:
                    launched = one["LaunchTime"].astimezone(UTC).isoformat(timespec="seconds")
                    yield Member(
                        launched=launched, id=one["InstanceId"], address=one.get("PrivateIpAddress", "")
                    )
