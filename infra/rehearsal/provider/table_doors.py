"""Rows of what packets pass on their way: security groups, their rules, and the endpoints of AWS's services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.row import Row
from infra.rehearsal.provider.tags import EC2
from infra.rehearsal.provider.target import Target

RULE_NAMES = {
    "securityGroupId": "GroupId",
    "cidrIpv4": "CidrIpv4",
    "cidrIpv6": "CidrIpv6",
    "prefixListId": "PrefixListId",
}
SETS = {
    "routeTableIds": ("AddRouteTableIds", "RemoveRouteTableIds"),
    "subnetIds": ("AddSubnetIds", "RemoveSubnetIds"),
    "securityGroupIds": ("AddSecurityGroupIds", "RemoveSecurityGroupIds"),
}


def permission(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule's packets as the calls that make and take rules want them."""
    described = {"Description": inputs["description"]} if inputs.get("description") else {}
    made: dict[str, Any] = {"IpProtocol": str(inputs["ipProtocol"])}
    for name, member in (("fromPort", "FromPort"), ("toPort", "ToPort")):
        if inputs.get(name) is not None:
            made[member] = int(inputs[name])
    for name, member, key in (
        ("cidrIpv4", "IpRanges", "CidrIp"),
        ("cidrIpv6", "Ipv6Ranges", "CidrIpv6"),
        ("prefixListId", "PrefixListIds", "PrefixListId"),
        ("referencedSecurityGroupId", "UserIdGroupPairs", "GroupId"),
    ):
        if inputs.get(name):
            made[member] = [{key: inputs[name], **described}]
    return made


def _rule_request(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation.startswith("authorize_"):
        return {"GroupId": target.inputs["securityGroupId"], "IpPermissions": [permission(target.inputs)]}
    if operation.startswith("revoke_"):
        return {"GroupId": target.inputs["securityGroupId"], "SecurityGroupRuleIds": [target.id]}
    return request


def _rule_change(target: Target, changed: set[str]) -> None:
    if not target.before or not changed & set(RULE_FIELDS):
        return
    inputs = target.inputs
    rule = {
        "IpProtocol": str(inputs["ipProtocol"]),
        "FromPort": inputs.get("fromPort", -1),
        "ToPort": inputs.get("toPort", -1),
        "CidrIpv4": inputs.get("cidrIpv4"),
        "PrefixListId": inputs.get("prefixListId"),
        "ReferencedGroupId": inputs.get("referencedSecurityGroupId"),
        "Description": inputs.get("description"),
    }
    known = {name: value for name, value in rule.items() if value is not None}
    target.call(
        "modify_security_group_rules",
        GroupId=inputs["securityGroupId"],
        SecurityGroupRules=[{"SecurityGroupRuleId": target.id, "SecurityGroupRule": known}],
    )


RULE_FIELDS = (
    "ipProtocol",
    "fromPort",
    "toPort",
    "cidrIpv4",
    "prefixListId",
    "referencedSecurityGroupId",
    "description",
)


def _rule_seen(_: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "referencedSecurityGroupId": (found.get("ReferencedGroupInfo") or {}).get("GroupId"),
        "fromPort": found.get("FromPort"),
        "toPort": found.get("ToPort"),
    }


def _rule(way: str) -> Row:
    return Row(
        service="ec2",
        create=f"authorize_security_group_{way}",
        read="describe_security_group_rules",
        delete=f"revoke_security_group_{way}",
        id="answer.SecurityGroupRules[0].SecurityGroupRuleId",
        address={"SecurityGroupRuleIds": "[id]"},
        found="SecurityGroupRules[0]",
        names=RULE_NAMES,
        outputs={
            "securityGroupRuleId": "id",
            "arn": "join('', ['arn:aws:ec2:', region, ':', account, ':security-group-rule/', id])",
        },
        in_place=RULE_FIELDS,
        mend=_rule_request,
        change=_rule_change,
        seen=_rule_seen,
        tagging=EC2,
    )


def _open_by_itself(target: Target, _: set[str]) -> None:
    """Take away the rule that AWS gives a new group, which lets everything out; the AWS plugin does so too."""
    if not target.before:
        _revoke_all(target)


def _revoke_all(target: Target) -> None:
    (group,) = target.call("describe_security_groups", GroupIds=[target.id])["SecurityGroups"]
    if group["IpPermissions"]:
        target.call("revoke_security_group_ingress", GroupId=target.id, IpPermissions=group["IpPermissions"])
    if group["IpPermissionsEgress"]:
        target.call(
            "revoke_security_group_egress", GroupId=target.id, IpPermissions=group["IpPermissionsEgress"]
        )


def _default_group(target: Target) -> str | None:
    found = target.call(
        "describe_security_groups",
        Filters=[
            {"Name": "vpc-id", "Values": [target.inputs["vpcId"]]},
            {"Name": "group-name", "Values": ["default"]},
        ],
    )["SecurityGroups"]
    return str(found[0]["GroupId"]) if found else None


def _close_default(target: Target, _: set[str]) -> None:
    for way in ("ingress", "egress"):
        if target.inputs.get(way):
            raise ValueError(
                f"{way} of the default group must be empty, got {target.inputs[way]}; use a group"
            )
    _revoke_all(target)


def _default_seen(_: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    return {"ingress": found.get("IpPermissions", []), "egress": found.get("IpPermissionsEgress", [])}


def _endpoint(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation == "modify_vpc_endpoint":
        for name, (add, remove) in SETS.items():
            before, after = set(target.before.get(name) or []), set(target.inputs.get(name) or [])
            if after - before:
                request[add] = sorted(after - before)
            if before - after:
                request[remove] = sorted(before - after)
    return request


def _endpoint_seen(_: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    return {"securityGroupIds": [one["GroupId"] for one in found.get("Groups", [])]}


def _prefix_list(target: Target) -> dict[str, Any]:
    """Return the list of a gateway's addresses, which security groups name."""
    service = target.inputs["serviceName"]
    found = target.call("describe_prefix_lists", Filters=[{"Name": "prefix-list-name", "Values": [service]}])
    return {"prefixListId": found["PrefixLists"][0]["PrefixListId"]} if found["PrefixLists"] else {}


def _endpoint_sets(target: Target, changed: set[str]) -> None:
    if target.before and changed & set(SETS) and "policy" not in changed:
        target.call("modify_vpc_endpoint", **target.request("modify_vpc_endpoint", {}))


GROUP_OUTPUTS = {
    "arn": "join('', ['arn:aws:ec2:', region, ':', account, ':security-group/', id])",
    "ownerId": "account",
}

ROWS: Mapping[str, Row] = {
    "aws:ec2/securityGroup:SecurityGroup": Row(
        service="ec2",
        create="create_security_group",
        read="describe_security_groups",
        delete="delete_security_group",
        id="answer.GroupId",
        address={"GroupId": "id", "GroupIds": "[id]"},
        found="SecurityGroups[0]",
        names={"name": "GroupName"},
        outputs=GROUP_OUTPUTS,
        named="name",
        name_limit=255,
        local=("revokeRulesOnDelete",),
        change=_open_by_itself,
        tagging=EC2,
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Row(
        service="ec2",
        create="create_security_group",
        read="describe_security_groups",
        id="id",
        address={"GroupIds": "[id]"},
        found="SecurityGroups[0]",
        outputs=GROUP_OUTPUTS,
        in_place=("ingress", "egress"),
        adopts=_default_group,
        change=_close_default,
        seen=_default_seen,
        tagging=EC2,
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _rule("ingress"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _rule("egress"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Row(
        service="ec2",
        create="create_vpc_endpoint",
        read="describe_vpc_endpoints",
        update=("modify_vpc_endpoint",),
        delete="delete_vpc_endpoints",
        id="answer.VpcEndpoint.VpcEndpointId",
        address={"VpcEndpointId": "id", "VpcEndpointIds": "[id]"},
        found="VpcEndpoints[0]",
        gone="contains(['deleted', 'deleting'], found.State)",
        names={"policy": "PolicyDocument"},
        outputs={
            "arn": "join('', ['arn:aws:ec2:', region, ':', account, ':vpc-endpoint/', id])",
            "state": "found.State",
        },
        in_place=(),
        replace=("vpcId", "serviceName", "vpcEndpointType"),
        mend=_endpoint,
        change=_endpoint_sets,
        seen=_endpoint_seen,
        told=_prefix_list,
        tagging=EC2,
    ),
}
