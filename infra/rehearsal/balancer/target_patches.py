"""What moto does otherwise than AWS with targets: all are healthy at once, and who is deregistered is gone at once.

Registered in infra/rehearsal/patches.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from moto.elbv2.exceptions import TargetGroupNotFoundError
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup

from infra.rehearsal.balancer.controls import SEEN, SINCE, draining
from infra.rehearsal.provider.properties import Value

REGISTERING = ["initial", "Elb.RegistrationInProgress", "Target registration is in progress"]
"""Until the balancer has told of a target."""
DRAINING = ["draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"]
NOT_IN_USE = [
    "unused",
    "Target.NotInUse",
    "Target group is not configured to receive traffic from the load balancer",
]


def deregister(self: Value, targets: list[dict[str, Any]]) -> None:
    """Take targets out; those that are in no longer are no error, as AWS says."""
    _move(self, [one["Id"] for one in targets], self.deregistered_targets)


def deregister_terminated_instances(self: Value, instance_ids: list[str]) -> None:
    """Take out those whose instances have ended."""
    _move(self, instance_ids, self.terminated_targets)


def targets_that_drain() -> None:
    """A target that is deregistered, or whose instance ends, is draining until its group's delay is over."""
    _put(FakeTargetGroup, deregister, "deregister")
    _put(FakeTargetGroup, deregister_terminated_instances, "deregister_terminated_instances")


def health_that_the_balancer_saw() -> None:
    """DescribeTargetHealth says what the balancer saw, and lists those that are draining."""
    judged: Callable[..., FakeHealthStatus] = FakeTargetGroup.health_for

    def health_for(self: Value, target: dict[str, Any], ec2_backend: Value) -> FakeHealthStatus:
        name = target["Id"]
        leaving = draining(self, time.monotonic()).get(name)
        if leaving:
            return FakeHealthStatus(name, leaving["Port"], self.health_check_port, *DRAINING)
        known = self.targets.get(name)
        if known is None:
            return FakeHealthStatus(
                name,
                str(target.get("Port", self.port)),
                self.health_check_port,
                "unused",
                "Target.NotRegistered",
                "Target is not registered to the target group",
            )
        said = judged(self, target, ec2_backend)
        if said.status != "healthy":  # of a stopped instance: moto has its reason
            return said
        told = SEEN.get(self.arn, {}).get(name, REGISTERING) if self.load_balancer_arns else NOT_IN_USE
        state, reason, description = told
        return FakeHealthStatus(
            name, known["Port"], self.health_check_port, state, reason or None, description or None
        )

    def describe_target_health(
        self: Value, target_group_arn: str, targets: list[dict[str, Any]]
    ) -> list[FakeHealthStatus]:
        group = self.target_groups.get(target_group_arn)
        if group is None:
            raise TargetGroupNotFoundError()
        everyone = [*group.targets.values(), *draining(group, time.monotonic()).values()]
        return [group.health_for(target, self.ec2_backend) for target in targets or everyone]

    _put(FakeTargetGroup, health_for, "health_for")
    _put(ELBv2Backend, describe_target_health, "describe_target_health")


def _move(group: Value, names: list[str], place: dict[str, dict[str, Any]]) -> None:
    for name in names:
        target = group.targets.get(name)
        if target:
            place[name] = {**target, SINCE: time.monotonic()}  # there before it is gone here: others look
            group.targets.pop(name, None)


def _put(owner: object, value: object, name: str) -> None:
    setattr(owner, name, value)
