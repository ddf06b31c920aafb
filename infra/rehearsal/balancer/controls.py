"""What the balancer asks of the emulated AWS: all that ELBv2 says is to be balanced, and where target health is told.

Both run in the emulator's own process, on moto's models.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from infra.rehearsal.provider.properties import Value

SEEN: dict[str, dict[str, list[str]]] = {}
"""ARN of a target group -> instance -> state, reason and description: what the balancer saw last."""
SINCE = "Since"
"""Key of a deregistered target: when it was, in seconds of the monotonic clock."""


def balancers() -> list[dict[str, Any]]:
    """Return every load balancer with its listeners, the keys of their certificates, and its target groups."""
    # The operator's own process imports this module for its names, and moto takes seconds to import.
    from moto.backends import get_backend

    elb: Value = get_backend("elbv2")
    found = []
    for account, regions in list(elb.items()):
        certificates: Value = get_backend("acm")[account]
        for region, backend in list(regions.items()):
            for balancer in list(backend.load_balancers.values()):
                listeners = [
                    _listener(one, certificates[region]) for one in list(balancer.listeners.values())
                ]
                used = {arn for one in listeners for arn in groups_of(one["actions"])}
                groups = [one for arn, one in list(backend.target_groups.items()) if arn in used]
                found.append(
                    {
                        "arn": balancer.arn,
                        "dns_name": balancer.dns_name,
                        "attributes": _texts(balancer.attrs),
                        "listeners": listeners,
                        "groups": [_group(one, backend.ec2_backend) for one in groups],
                    }
                )
    return found


def target_health(arn: str, health: dict[str, list[str]]) -> None:
    """Keep what DescribeTargetHealth shall answer.

    Args:
        arn: of the target group.
        health: instance -> state, reason and description, in AWS's words.

    Raises:
        ValueError: a value is not three texts.
    """
    for instance, told in health.items():
        if len(told) != 3:
            raise ValueError(f"health of `{instance}` must be state, reason and description, got {told}")
    SEEN[arn] = health


def groups_of(actions: list[dict[str, Any]]) -> list[str]:
    """Return the ARNs of the target groups that actions forward to."""
    return [arn for action in actions for arn in weights_of(action)]


def weights_of(action: Mapping[str, Any]) -> dict[str, int]:
    """Return the target groups of one action by ARN, each with its weight."""
    groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
    if groups:
        return {one["TargetGroupArn"]: int(one.get("Weight", 1)) for one in groups}
    return {action["TargetGroupArn"]: 1} if action.get("TargetGroupArn") else {}


def draining(group: Value, now: float) -> dict[str, Any]:
    """Return the targets of one of moto's groups that are deregistered and may still finish their requests.

    Args:
        group: a target group.
        now: in seconds of the monotonic clock.
    """
    delay = float(group.attributes["deregistration_delay.timeout_seconds"])
    left = {**group.terminated_targets, **group.deregistered_targets}
    return {name: one for name, one in left.items() if name not in group.targets and now - one[SINCE] < delay}


def _listener(listener: Value, certificates: Value) -> dict[str, Any]:
    known = [certificates._certificates.get(arn) for arn in listener.certificates]
    return {
        "arn": listener.arn,
        "port": int(listener.port),
        "protocol": listener.protocol,
        "ssl_policy": listener.ssl_policy or "",
        "attributes": _texts(listener.attributes),
        "certificates": [one.cert.decode() + "\n" + one.key.decode() for one in known if one],
        "actions": sorted(
            (action.data for action in listener.default_actions), key=lambda one: int(one.get("Order") or 0)
        ),
    }


def _group(group: Value, ec2: Value) -> dict[str, Any]:
    now = time.monotonic()
    leaving = draining(group, now)
    targets = []
    for name, target in [*list(group.targets.items()), *leaving.items()]:
        instance = ec2.get_instance_by_id(name)
        address = getattr(instance, "private_ip", None)
        if address:
            port = int(target["Port"])
            targets.append({"id": name, "address": address, "port": port, "draining": name in leaving})
    return {
        "arn": group.arn,
        "name": group.name,
        "protocol": group.protocol,
        "attributes": _texts(group.attributes),
        "check": {
            "protocol": group.health_check_protocol,
            "port": str(group.health_check_port),
            "path": group.health_check_path or "/",
            "codes": group.matcher.get("HttpCode", "200"),
            "interval": int(group.health_check_interval_seconds),
            "timeout": int(group.health_check_timeout_seconds),
            "healthy": int(group.healthy_threshold_count),
            "unhealthy": int(group.unhealthy_threshold_count),
        },
        "targets": targets,
    }


def _texts(attributes: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in attributes.items()}


CONTROLS: dict[str, Callable[..., Any]] = {"balancers": balancers, "target-health": target_health}
"""Registered in infra/rehearsal/control.py."""
