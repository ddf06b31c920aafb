"""What conditions are compared with: the values that a request has for each condition key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.rehearsal.authorizer.principals import Principal
from infra.rehearsal.authorizer.requests import Call

HEADERS = (
    "x-amz-acl",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "if-match",
    "if-none-match",
)
"""Headers that S3 makes condition keys of, under their own names."""
WORDS = ("prefix", "delimiter", "max-keys")
"""Words of a listing that are condition keys."""


def common(call: Call, caller: Principal) -> dict[str, str]:
    """Return the keys that every request has."""
    return {
        "aws:principalaccount": caller.account,
        "aws:principalarn": caller.role,
        "aws:principalisawsservice": "false",
        "aws:requestedregion": call.region,
        "aws:securetransport": str(call.secure).lower(),
        "aws:userid": caller.session,
    }


def special(call: Call) -> dict[str, str]:
    """Return the keys that a service makes of a request, in lower case; what the request does not have is absent."""
    if call.service == "s3":
        named = {f"s3:{name}": call.headers[name] for name in HEADERS if name in call.headers}
        return named | {f"s3:{name}": str(call.input[name]) for name in WORDS if name in call.input}
    if call.service == "monitoring" and "Namespace" in call.input:
        return {"cloudwatch:namespace": str(call.input["Namespace"])}
    if call.service == "autoscaling":
        return {f"autoscaling:{name.lower()}": value for name, value in _group(call.input)}
    return {}


def _group(asked: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the keys of a request that makes or changes a group.

    See AWS's service authorization reference: a key is there where the request speaks of its subject at all.
    """
    for name in ("MinSize", "MaxSize", "LaunchConfigurationName"):
        if name in asked:
            yield name, str(asked[name])
    if asked.get("VPCZoneIdentifier"):
        yield "VPCZoneIdentifiers", str(asked["VPCZoneIdentifier"])
    mixed = asked.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    overrides = mixed.get("Overrides", [])
    templates = [
        one
        for one in (
            asked.get("LaunchTemplate"),
            mixed.get("LaunchTemplateSpecification"),
            *(override.get("LaunchTemplateSpecification") for override in overrides),
        )
        if one
    ]
    if templates:
        named = all(str(one.get("Version", "")) not in ("", "$Latest", "$Default") for one in templates)
        yield "LaunchTemplateVersionSpecified", str(named).lower()
    types = [override["InstanceType"] for override in overrides if "InstanceType" in override]
    if types:
        yield "InstanceTypes", ",".join(types)
    target = asked.get("CapacityReservationSpecification", {}).get("CapacityReservationTarget", {})
    for key, name in (
        ("CapacityReservationIds", "CapacityReservationIds"),
        ("CapacityReservationResourceGroupArns", "CapacityReservationResourceGroupArns"),
    ):
        if target.get(key):
            yield name, ",".join(target[key])
