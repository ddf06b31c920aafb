"""What serving nodes ask beside S3: their group, their load balancer, the key of releases, CloudWatch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tests.bench.fleet_aws import Bill, Group

DELAY_SECONDS = 60.0
"""How long the load balancer keeps a target that leaves: its whole delay, as it does while requests are in flight."""


class ServingGroup(Group):
    """An Auto Scaling group behind a load balancer, asked in botocore's words; it stands for all clients."""

    def __init__(
        self, bill: Bill, clock: Callable[[], float], sleep: Callable[[float], None], public_key: bytes
    ) -> None:
        """Have no instances yet.

        Args:
            bill: where calls are written down.
            clock: the time.
            sleep: lets a call take its time.
            public_key: what KMS says of the key of releases, DER.
        """
        super().__init__(bill, clock, sleep)
        self._now = clock
        self._public_key = public_key
        self.healthy: set[str] = set()
        """Targets that answer."""
        self.unhealthy: Counter[str] = Counter()
        """Instance -> how often the group was asked to replace it."""
        self._leaving: dict[str, float] = {}

    def describe_auto_scaling_groups(self, **words: object) -> dict[str, Any]:
        """Return the group, and its instances unless they are not wanted."""
        if words.get("IncludeInstances", True):
            return super().describe_auto_scaling_groups()
        self._asked("autoscaling", "DescribeAutoScalingGroups", 1)
        return {"AutoScalingGroups": [{"DesiredCapacity": len(self.ids)}]}

    def set_instance_health(self, **words: str) -> None:
        """Be asked to replace an instance."""
        self._asked("autoscaling", "SetInstanceHealth", 1)
        self.unhealthy[words["InstanceId"]] += 1

    def complete_lifecycle_action(self, **_: str) -> None:
        """Be told that an instance has drained."""
        self._asked("autoscaling", "CompleteLifecycleAction", 1)

    def deregister_targets(self, **words: Any) -> None:
        """Send a target no new requests."""
        self._asked("elbv2", "DeregisterTargets", 1)
        for one in words["Targets"]:
            self.healthy.discard(one["Id"])
            self._leaving[one["Id"]] = self._now() + DELAY_SECONDS

    def describe_target_health(self, **words: Any) -> dict[str, Any]:
        """Return the states of some targets, or of all."""
        asked: Sequence[str] = [one["Id"] for one in words.get("Targets", ())] or self.ids
        self._asked("elbv2", "DescribeTargetHealth", len(asked))
        return {
            "TargetHealthDescriptions": [
                {"Target": {"Id": one}, "TargetHealth": {"State": self._state(one)}} for one in asked
            ]
        }

    def get_public_key(self, **_: str) -> dict[str, bytes]:
        """Return the public half of the key that releases are signed with."""
        self._asked("kms", "GetPublicKey", 1)
        return {"PublicKey": self._public_key}

    def put_metric_data(self, **words: Any) -> None:
        """Take numbers."""
        self._asked("cloudwatch", "PutMetricData", len(words["MetricData"]))

    def _state(self, target: str) -> str:
        if target in self._leaving:
            return "draining" if self._now() < self._leaving[target] else "unused"
        return "healthy" if target in self.healthy else "unhealthy"


APIS = ("autoscaling", "elbv2", "kms", "cloudwatch")
"""All that is asked beside S3."""
