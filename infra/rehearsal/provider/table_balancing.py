"""Rows of the load balancer: itself, what it listens to, where it sends requests, its certificate and names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider import attributes, shapes
from infra.rehearsal.provider.row import Row, Tagging
from infra.rehearsal.provider.target import Target

TAGS = Tagging(
    add="add_tags",
    remove="remove_tags",
    show="describe_tags",
    path="TagDescriptions[0].Tags",
    address={"ResourceArns": "[id]"},
)
BALANCER = attributes.Attributes(
    noun="load_balancer",
    member="LoadBalancerArn",
    keys={
        "idleTimeout": "idle_timeout.timeout_seconds",
        "enableDeletionProtection": "deletion_protection.enabled",
        "desyncMitigationMode": "routing.http.desync_mitigation_mode",
        "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
        "enableHttp2": "routing.http2.enabled",
        "preserveHostHeader": "routing.http.preserve_host_header.enabled",
        "accessLogs.enabled": "access_logs.s3.enabled",
        "accessLogs.bucket": "access_logs.s3.bucket",
        "accessLogs.prefix": "access_logs.s3.prefix",
        "connectionLogs.enabled": "connection_logs.s3.enabled",
        "connectionLogs.bucket": "connection_logs.s3.bucket",
        "connectionLogs.prefix": "connection_logs.s3.prefix",
        "healthCheckLogs.enabled": "health_check_logs.s3.enabled",
        "healthCheckLogs.bucket": "health_check_logs.s3.bucket",
        "healthCheckLogs.prefix": "health_check_logs.s3.prefix",
    },
)
TARGETS = attributes.Attributes(
    noun="target_group",
    member="TargetGroupArn",
    keys={
        "deregistrationDelay": "deregistration_delay.timeout_seconds",
        "slowStart": "slow_start.duration_seconds",
        "loadBalancingAlgorithmType": "load_balancing.algorithm.type",
        "stickiness.enabled": "stickiness.enabled",
        "stickiness.type": "stickiness.type",
    },
)
LISTENER = attributes.Attributes(
    noun="listener",
    member="ListenerArn",
    keys={
        "routingHttpResponseServerEnabled": "routing.http.response.server.enabled",
        "routingHttpResponseStrictTransportSecurityHeaderValue": (
            "routing.http.response.strict_transport_security.header_value"
        ),
    },
)
HEALTH = {
    "protocol": "HealthCheckProtocol",
    "port": "HealthCheckPort",
    "path": "HealthCheckPath",
    "enabled": "HealthCheckEnabled",
    "interval": "HealthCheckIntervalSeconds",
    "timeout": "HealthCheckTimeoutSeconds",
    "healthyThreshold": "HealthyThresholdCount",
    "unhealthyThreshold": "UnhealthyThresholdCount",
}


def _target_group(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation not in ("create_target_group", "modify_target_group"):
        return request
    check = target.inputs.get("healthCheck") or {}
    for name, member in HEALTH.items():
        if name in check:
            shape = target.shape(operation).members[member]
            request[member] = shapes.coerce(shape, check[name], {})
    if "matcher" in check:
        request["Matcher"] = {"HttpCode": str(check["matcher"])}
    return request


def _target_group_change(target: Target, changed: set[str]) -> None:
    if target.before and "healthCheck" in changed:
        target.call("modify_target_group", **target.request("modify_target_group", {}))
    TARGETS.write(target, changed)


def _target_group_seen(target: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    check = {name: found.get(member) for name, member in HEALTH.items()}
    check["matcher"] = (found.get("Matcher") or {}).get("HttpCode")
    return {"healthCheck": check, **TARGETS.read(target)}


def _balancer(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation == "create_load_balancer" and "internal" in target.inputs:
        request["Scheme"] = "internal" if target.inputs["internal"] else "internet-facing"
    return request


def _listener(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation in ("create_listener", "modify_listener") and target.inputs.get("certificateArn"):
        request["Certificates"] = [{"CertificateArn": target.inputs["certificateArn"]}]
    return request


def _listener_seen(target: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    certificates = found.get("Certificates") or [{}]
    return {"certificateArn": certificates[0].get("CertificateArn"), **LISTENER.read(target)}


def _balancer_seen(target: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "internal": found.get("Scheme") == "internal",
        "subnets": [zone["SubnetId"] for zone in found.get("AvailabilityZones", [])],
        "loadBalancerType": found.get("Type"),
        **BALANCER.read(target),
    }


ROWS: Mapping[str, Row] = {
    "aws:lb/loadBalancer:LoadBalancer": Row(
        service="elbv2",
        kind="patched",
        create="create_load_balancer",
        read="describe_load_balancers",
        update=("set_security_groups", "set_subnets"),
        delete="delete_load_balancer",
        id="answer.LoadBalancers[0].LoadBalancerArn",
        address={"LoadBalancerArn": "id", "LoadBalancerArns": "[id]"},
        found="LoadBalancers[0]",
        names={"loadBalancerType": "Type", "internal": ""},
        outputs={
            "arn": "id",
            "arnSuffix": "suffix(found.LoadBalancerArn)",
            "dnsName": "found.DNSName",
            "zoneId": "found.CanonicalHostedZoneId",
            "vpcId": "found.VpcId",
        },
        named="name",
        name_limit=32,
        in_place=BALANCER.properties,
        replace=("name", "internal", "loadBalancerType"),
        mend=_balancer,
        change=BALANCER.write,
        seen=_balancer_seen,
        tagging=TAGS,
    ),
    "aws:lb/targetGroup:TargetGroup": Row(
        service="elbv2",
        create="create_target_group",
        read="describe_target_groups",
        delete="delete_target_group",
        id="answer.TargetGroups[0].TargetGroupArn",
        address={"TargetGroupArn": "id", "TargetGroupArns": "[id]"},
        found="TargetGroups[0]",
        outputs={"arn": "id", "arnSuffix": "suffix(found.TargetGroupArn)"},
        named="name",
        name_limit=32,
        in_place=("healthCheck", *TARGETS.properties),
        mend=_target_group,
        change=_target_group_change,
        seen=_target_group_seen,
        tagging=TAGS,
    ),
    "aws:lb/listener:Listener": Row(
        service="elbv2",
        kind="patched",
        create="create_listener",
        read="describe_listeners",
        update=("modify_listener",),
        delete="delete_listener",
        id="answer.Listeners[0].ListenerArn",
        address={"ListenerArn": "id", "ListenerArns": "[id]"},
        found="Listeners[0]",
        names={"certificateArn": "Certificates", "defaultActions.jwtValidation": "JwtValidationConfig"},
        outputs={"arn": "id"},
        replace=("loadBalancerArn",),
        in_place=LISTENER.properties,
        mend=_listener,
        change=LISTENER.write,
        seen=_listener_seen,
        tagging=TAGS,
    ),
}
