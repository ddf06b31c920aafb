"""Questions that the program asks about the account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import botocore.exceptions

from infra.rehearsal.provider import shapes
from infra.rehearsal.provider.clients import Clients
from infra.rehearsal.provider.target import CallError

Invoke = Callable[[Clients, str, Mapping[str, Any]], dict[str, Any]]
PARTITION = "aws"


def answer(clients: Clients, token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to an invoke.

    Raises:
        CallError: it is in no row, or the API refused it.
    """
    if token not in INVOKES:
        raise CallError(f"the rehearsal's provider must know an invoke, got `{token}`; add it to invokes.py")
    region = str(arguments.get("region") or clients.region)
    try:
        return {"id": region, **INVOKES[token](clients, region, arguments)}
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
        raise CallError(f"{token}: {' '.join(str(error).split())}") from error


def _identity(clients: Clients, region: str, _: Mapping[str, Any]) -> dict[str, Any]:
    found = clients.client("sts", region).get_caller_identity()
    account = found["Account"]
    return {"id": account, "accountId": account, "arn": found["Arn"], "userId": found["UserId"]}


def _region(_clients: Clients, region: str, _: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": region,
        "region": region,
        "endpoint": f"ec2.{region}.amazonaws.com",
        "description": region,
    }


def _partition(_clients: Clients, _region: str, _: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": PARTITION,
        "partition": PARTITION,
        "dnsSuffix": "amazonaws.com",
        "reverseDnsPrefix": "com.amazonaws",
    }


def _zones(clients: Clients, region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    filters = [{"Name": one["name"], "Values": one["values"]} for one in arguments.get("filters") or []]
    if arguments.get("state"):
        filters.append({"Name": "state", "Values": [arguments["state"]]})
    found = clients.client("ec2", region).describe_availability_zones(Filters=filters)["AvailabilityZones"]
    return {
        "names": sorted(one["ZoneName"] for one in found),
        "zoneIds": [one["ZoneId"] for one in sorted(found, key=lambda one: one["ZoneName"])],
        "groupNames": [region],
    }


def _parameter(clients: Clients, region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    name = arguments["name"]
    found = clients.client("ssm", region).get_parameter(Name=name, WithDecryption=True)["Parameter"]
    return {
        "id": name,
        "arn": found.get("ARN", ""),
        "name": name,
        "type": found["Type"],
        "value": found["Value"],
        "insecureValue": found["Value"],
        "version": found["Version"],
    }


def _quota(clients: Clients, region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    asked = {"ServiceCode": arguments["serviceCode"], "QuotaCode": arguments["quotaCode"]}
    quota = clients.client("service-quotas", region).get_service_quota(**asked)["Quota"]
    found: dict[str, Any] = shapes.plain(quota)
    return {**found, "defaultValue": found["value"], "id": found.get("quotaArn", arguments["quotaCode"])}


INVOKES: Mapping[str, Invoke] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _identity,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:ssm/getParameter:getParameter": _parameter,
    "aws:servicequotas/getServiceQuota:getServiceQuota": _quota,
}
