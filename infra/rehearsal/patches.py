"""What moto 5.2.5 does otherwise than AWS, mended: one function a defect, each with a test that fails without it.

They are put on in the emulator's own process alone; see emulator_server. All are in this one file, long as it is, so
that a newer moto is looked at here and nowhere else.

What stands before moto or in its place is no patch, and mends nothing of it: the layers over its WSGI application
(Control, Interference, the authorizer, Repeatable), the balancer beside it, and the loop that keeps groups, which
takes calls of Auto Scaling over as a whole and answers those that moto has not (scaling/takeover.py and calls.py).
"""

from __future__ import annotations

import fnmatch
import json
import time
from collections.abc import Callable
from typing import Any

import moto
from moto.autoscaling.models import FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.core.types import Base64EncodedString
from moto.ec2.models.launch_templates import LaunchTemplateVersion
from moto.elbv2.exceptions import TargetGroupNotFoundError
from moto.elbv2.models import ELBv2Backend, FakeAction, FakeHealthStatus, FakeLoadBalancer, FakeTargetGroup
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.logs.responses import LogsResponse
from moto.route53 import models as route53
from moto.s3.models import FakeBucket, FakeDeleteMarker

from infra.rehearsal.balancer.controls import SEEN, SINCE, draining

VERSION = "5.2.5"
"""Of moto: another one is looked at again before it is used."""
REGISTERING = ["initial", "Elb.RegistrationInProgress", "Target registration is in progress"]
"""Health of a target until the balancer has told of it; here and below: state, reason and description."""
DRAINING = ["draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"]
NOT_IN_USE = [
    "unused",
    "Target.NotInUse",
    "Target group is not configured to receive traffic from the load balancer",
]
NOT_REGISTERED = ["unused", "Target.NotRegistered", "Target is not registered to the target group"]


def user_data_of_later_versions() -> None:
    """A template's second version has its user data as plain text, on which launching an instance fails."""

    def user_data(self: Any) -> Base64EncodedString | None:  # noqa: ANN401 - moto's
        found = self.data.get("UserData")
        if found is None or isinstance(found, Base64EncodedString):
            return found
        return Base64EncodedString(found)

    put(LaunchTemplateVersion, property(user_data), "user_data")


def logs_of_health_checks() -> None:
    """Of the balancer's logs of health checks, moto knows the switch but neither bucket nor prefix."""
    more = {"health_check_logs.s3.bucket", "health_check_logs.s3.prefix"}
    put(FakeLoadBalancer, FakeLoadBalancer.VALID_ATTRS | more, "VALID_ATTRS")


def key_of_a_log_group() -> None:
    """A log group's key cannot be changed: the calls are missing."""

    def group(self: Any) -> Any:  # noqa: ANN401 - moto's
        return self.logs_backend.groups[self._get_param("logGroupName")]

    def associate_kms_key(self: Any) -> str:  # noqa: ANN401 - moto's
        group(self).kms_key_id = self._get_param("kmsKeyId")
        return "{}"

    def disassociate_kms_key(self: Any) -> str:  # noqa: ANN401 - moto's
        group(self).kms_key_id = None
        return "{}"

    put(LogsResponse, associate_kms_key, "associate_kms_key")
    put(LogsResponse, disassociate_kms_key, "disassociate_kms_key")


def fewer_metrics_of_a_group() -> None:
    """A group's metrics can be switched on but not off: the call is missing."""

    def disable_metrics_collection(self: Any) -> ActionResult:  # noqa: ANN401 - moto's
        name, metrics = self._get_param("AutoScalingGroupName"), self._get_param("Metrics", [])
        group = self.autoscaling_backend.describe_auto_scaling_groups([name])[0]
        group.metrics = [one for one in group.metrics if metrics and one not in metrics]
        return EmptyResult()

    put(AutoScalingResponse, disable_metrics_collection, "disable_metrics_collection")


def policy_of_a_group_that_is_resized() -> None:
    """A group loses its mixed instances policy at any update that does not name it, as one of its size alone."""
    changed: Callable[..., None] = FakeAutoScalingGroup.update

    def update(self: Any, *arguments: Any, mixed_instances_policy: Any = None, **more: Any) -> None:  # noqa: ANN401
        before = self.mixed_instances_policy
        more["mixed_instances_policy"] = mixed_instances_policy
        changed(self, *arguments, **more)
        if not (mixed_instances_policy or more.get("launch_template") or more.get("launch_config_name")):
            self.mixed_instances_policy = before

    put(FakeAutoScalingGroup, update, "update")


def statements_with_conditions() -> None:
    """A bucket policy's denial is taken for met where its condition is not: `only over TLS` locks everyone out.

    With the patch a statement whose conditions moto cannot judge says nothing at all. Where the account is served as
    AWS is, the authorizer has judged all of them before moto is asked; elsewhere, nobody has.
    """
    judged = IAMPolicyStatement.is_action_permitted

    def is_action_permitted(
        self: Any,  # noqa: ANN401 - moto's
        action: str,
        resource: str = "*",
        principal: str | None = None,
        incoming_condition_values: dict[str, str] | None = None,
    ) -> PermissionResult:
        if self._statement.get("Condition") and not incoming_condition_values:
            return PermissionResult.NEUTRAL
        return judged(self, action, resource, principal, incoming_condition_values)

    put(IAMPolicyStatement, is_action_permitted, "is_action_permitted")


def logs_into_a_folder() -> None:
    """A bucket takes no access logs where its policy has a statement for everyone, or allows one folder alone."""

    def allowed(target_bucket: FakeBucket, target_prefix: str | None) -> bool:
        wanted = f"arn:{target_bucket.partition}:s3:::{target_bucket.name}/{target_prefix or ''}"
        statements = json.loads(target_bucket.policy)["Statement"] if target_bucket.policy else []
        return any(
            statement["Effect"] == "Allow"
            and statement["Principal"] == {"Service": "logging.s3.amazonaws.com"}
            and "s3:PutObject" in statement["Action"]
            and any(fnmatch.fnmatchcase(f"{wanted}x", pattern) for pattern in _listed(statement["Resource"]))
            for statement in statements
        )

    put(FakeBucket, staticmethod(allowed), "_log_permissions_enabled_policy")


def markers_that_can_go() -> None:
    """Where versioning is suspended, a delete marker cannot be deleted, nor can what lies below it: it has no data."""

    def dispose(self: FakeDeleteMarker, garbage: bool = False) -> None:
        pass

    put(FakeDeleteMarker, dispose, "dispose")


def ids_of_hosted_zones() -> None:
    """Ids of hosted zones begin with any letter instead of Z, so that what checks them refuses them."""
    made: Callable[..., str] = route53.create_route53_zone_id

    def named(*arguments: object, **more: object) -> str:
        return f"Z{made(*arguments, **more)[1:]}"

    put(route53, named, "create_route53_zone_id")


def tokens_at_the_balancer() -> None:
    """A listener takes no action that verifies tokens; with the patch it keeps one, and shows it as it was given."""
    judged: Callable[[Any, list[FakeAction]], None] = ELBv2Backend._validate_actions

    def validate(self: ELBv2Backend, actions: list[FakeAction]) -> None:
        judged(self, [action for action in actions if action.type != "jwt-validation"])

    put(ELBv2Backend, validate, "_validate_actions")


def arn_of_a_scaling_policy() -> None:
    """PutScalingPolicy spells the ARN in its answer otherwise than AWS, so that no client sees it."""
    made: Callable[[AutoScalingResponse], ActionResult] = AutoScalingResponse.put_scaling_policy

    def put_scaling_policy(self: AutoScalingResponse) -> ActionResult:
        made(self)
        policy = self.autoscaling_backend.policies[self._get_param("PolicyName")]
        return ActionResult({"PolicyARN": policy.arn})

    put(AutoScalingResponse, put_scaling_policy, "put_scaling_policy")


def targets_that_drain() -> None:
    """Who is deregistered, or whose instance ends, is gone at once, and it is an error when it is gone already.

    With the patch it drains until its group's delay is over.
    """

    def move(group: FakeTargetGroup, names: list[str], place: dict[str, dict[str, Any]]) -> None:
        for name in names:
            target = group.targets.get(name)
            if target:
                place[name] = {**target, SINCE: time.monotonic()}  # there before it is gone here: others look
                group.targets.pop(name, None)

    def deregister(self: FakeTargetGroup, targets: list[dict[str, Any]]) -> None:
        move(self, [one["Id"] for one in targets], self.deregistered_targets)

    def deregister_terminated_instances(self: FakeTargetGroup, instance_ids: list[str]) -> None:
        move(self, instance_ids, self.terminated_targets)

    put(FakeTargetGroup, deregister, "deregister")
    put(FakeTargetGroup, deregister_terminated_instances, "deregister_terminated_instances")


def health_that_the_balancer_saw() -> None:
    """All targets are healthy at once; with the patch health is what the balancer saw, and who drains is listed."""
    judged: Callable[..., FakeHealthStatus] = FakeTargetGroup.health_for

    def health_for(self: FakeTargetGroup, target: dict[str, Any], ec2_backend: Any) -> FakeHealthStatus:  # noqa: ANN401
        name = target["Id"]

        def said(port: object, health: list[str]) -> FakeHealthStatus:
            state, reason, description = health
            return FakeHealthStatus(
                name, str(port), self.health_check_port, state, reason or None, description or None
            )

        leaving = draining(self, time.monotonic()).get(name)
        if leaving:
            return said(leaving["Port"], DRAINING)
        known = self.targets.get(name)
        if known is None:
            return said(target.get("Port", self.port), NOT_REGISTERED)
        found = judged(self, target, ec2_backend)
        if found.status != "healthy":  # of a stopped instance: moto has its reason
            return found
        told = SEEN.get(self.arn, {}).get(name, REGISTERING) if self.load_balancer_arns else NOT_IN_USE
        return said(known["Port"], told)

    def describe_target_health(
        self: ELBv2Backend, target_group_arn: str, targets: list[dict[str, Any]]
    ) -> list[FakeHealthStatus]:
        group = self.target_groups.get(target_group_arn)
        if group is None:
            raise TargetGroupNotFoundError()
        everyone = [*group.targets.values(), *draining(group, time.monotonic()).values()]
        return [group.health_for(target, self.ec2_backend) for target in targets or everyone]

    put(FakeTargetGroup, health_for, "health_for")
    put(ELBv2Backend, describe_target_health, "describe_target_health")


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def put(owner: object, value: object, name: str) -> None:
    """Set a name of moto's: the only way in which a patch changes anything, so that tests can undo it."""
    setattr(owner, name, value)


PATCHES: tuple[Callable[[], None], ...] = (
    user_data_of_later_versions,
    logs_of_health_checks,
    key_of_a_log_group,
    fewer_metrics_of_a_group,
    policy_of_a_group_that_is_resized,
    statements_with_conditions,
    logs_into_a_folder,
    markers_that_can_go,
    ids_of_hosted_zones,
    tokens_at_the_balancer,
    arn_of_a_scaling_policy,
    targets_that_drain,
    health_that_the_balancer_saw,
)
"""All of them, in the order in which they are put on."""


def apply() -> None:
    """Put all patches on this process's moto.

    Raises:
        RuntimeError: it is another version than the patches were written for.
    """
    if moto.__version__ != VERSION:
        raise RuntimeError(f"moto must be {VERSION}, got {moto.__version__}; run uv sync")
    for patch in PATCHES:
        patch()
