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


def targets_that_drain() -> None:
    """A target that is deregistered, or whose instance ends, is draining until its group's delay is over."""
    left: Callable[..., None] = FakeTargetGroup.deregister
    ended: Callable[..., None] = FakeTargetGroup.deregister_terminated_instances

    def marked(group: Value) -> None:
        for target in [*group.deregistered_targets.values(), *group.terminated_targets.values()]:
            target.setdefault(SINCE, time.monotonic())

    def deregister(self: Value, targets: list[dict[str, Any]]) -> None:
        left(self, targets)
        marked(self)

    def deregister_terminated_instances(self: Value, instance_ids: list[str]) -> None:
        ended(self, instance_ids)
        marked(self)

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


def _put(owner: object, value: object, name: str) -> None:
    setattr(owner, name, value)
