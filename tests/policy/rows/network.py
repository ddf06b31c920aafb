"""The network: who is recorded, who is public, which doors to AWS it has."""

from __future__ import annotations

from collections.abc import Iterator

from .resource import Resource, Stack, items
from .row import alone, among

VPC = "aws:ec2/vpc:Vpc"
DEFAULT_VPC = "aws:ec2/defaultVpc:DefaultVpc"
SUBNET = "aws:ec2/subnet:Subnet"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
GROUP = "aws:autoscaling/group:Group"
ACLS = (
    "aws:ec2/networkAcl:NetworkAcl",
    "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl",
    "aws:ec2/networkAclRule:NetworkAclRule",
)
ANYWHERE = {"0.0.0.0/0", "::/0"}
LOGIN_PORTS = (22, 3389)
DOORS = ("ec2", "ssm", "ssmmessages", "logs", "kms", "sts")
"""Services that nodes call and that must not need the internet."""


@among(1, "flow-logs", "A VPC records all its connections (EC2.6, CKV2_AWS_11, CIS 3.7)", VPC)
def flow_logs(vpc: Resource, stack: Stack) -> Iterator[str]:
    logs = stack.referring(vpc, "aws:ec2/flowLog:FlowLog", "vpcId")
    if not any(log.get("trafficType") == "ALL" for log in logs):
        yield "has no flow log of all traffic; add ec2.FlowLog with traffic_type ALL"


@among(
    2, "default-group", "The default security group lets nothing through (EC2.2, CKV2_AWS_12, CIS 5.4)", VPC
)
def default_group(vpc: Resource, stack: Stack) -> Iterator[str]:
    groups = stack.referring(vpc, "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "vpcId")
    if not groups:
        yield "leaves its default security group as AWS made it; empty it by ec2.DefaultSecurityGroup"
    for group in groups:
        if group.items("ingress") or group.items("egress"):
            yield f"has rules in its default security group ({group.name}); remove them"


@alone(3, "no-public-addresses", "Subnets give no public address (EC2.15, CKV_AWS_130)", SUBNET)
def no_public_addresses(subnet: Resource) -> Iterator[str]:
    if subnet.get("mapPublicIpOnLaunch"):
        yield "gives a public address to what starts in it; set map_public_ip_on_launch False"


@among(
    4,
    "private-nodes",
    "Nodes live in private subnets of a VPC of their own, which spans 2 zones (CKV_AWS_148)",
    VPC,
    DEFAULT_VPC,
    GROUP,
)
def private_nodes(resource: Resource, stack: Stack) -> Iterator[str]:
    if resource.type == DEFAULT_VPC:
        yield "is the account's default VPC; make an own one"
    elif resource.type == VPC:
        subnets = stack.referring(resource, SUBNET, "vpcId")
        if len(zones([one for one in subnets if not is_public(one, stack)])) < 2:
            yield "has private subnets in fewer than 2 zones; add one in another zone"
    elif public := [one.name for one in subnets_of(resource, stack) if is_public(one, stack)]:
        yield f"starts nodes in public subnets ({', '.join(public)}); give it the private ones"


@among(
    5,
    "doors",
    f"S3 by a gateway, {', '.join(DOORS)} by interfaces in 2 zones, each with a policy (EC2.10)",
    VPC,
    ENDPOINT,
)
def doors(resource: Resource, stack: Stack) -> Iterator[str]:
    if resource.type == ENDPOINT:
        if not resource.has("policy"):
            yield "has no policy, so it lets everybody's requests through; write one"
        if resource.get("vpcEndpointType") == "Interface" and len(zones(subnets_of(resource, stack))) < 2:
            yield "stands in fewer than 2 zones; give it a subnet in another one"
        return
    endpoints = stack.referring(resource, ENDPOINT, "vpcId")
    found = {(one.get("serviceName").split(".")[-1], one.get("vpcEndpointType")) for one in endpoints}
    for wanted in [("s3", "Gateway"), *((service, "Interface") for service in DOORS)]:
        if wanted not in found:
            yield f"has no {wanted[1].lower()} endpoint to {wanted[0]}; add one"


@alone(6, "no-open-acls", "No network ACL opens 22, 3389 or all ports (EC2.21, CKV_AWS_231, 232, 352)", *ACLS)
def no_open_acls(acl: Resource) -> Iterator[str]:
    single = acl.type.endswith(":NetworkAclRule")
    entries = [acl.inputs] if single else items(acl.inputs, "ingress")
    for entry in entries:
        allows = entry.get("action", entry.get("ruleAction")) == "allow" and not entry.get("egress")
        everybody = {entry.get("cidrBlock"), entry.get("ipv6CidrBlock")} & ANYWHERE
        first, last = int(entry.get("fromPort") or 0), int(entry.get("toPort") or 65535)
        if allows and everybody and any(first <= port <= last for port in LOGIN_PORTS):
            yield f"opens ports {first}-{last} to everybody; leave out 22 and 3389"


def subnets_of(resource: Resource, stack: Stack) -> list[Resource]:
    """Return the subnets that a resource stands in."""
    by = ("subnetIds", "subnets", "vpcZoneIdentifiers")
    return [one for name in by for one in stack.referred(resource, name) if one.type == SUBNET]


def zones(subnets: list[Resource]) -> set[str]:
    """Return the zones of subnets."""
    return {one.get("availabilityZone") for one in subnets}


def is_public(subnet: Resource, stack: Stack) -> bool:
    """Return whether a subnet's routes lead to the internet without a NAT gateway."""
    associations = stack.referring(subnet, "aws:ec2/routeTableAssociation:RouteTableAssociation", "subnetId")
    tables = [table for one in associations for table in stack.referred(one, "routeTableId")]
    routes = [
        one for table in tables for one in stack.referring(table, "aws:ec2/route:Route", "routeTableId")
    ]
    return any(route.references.get("gatewayId") for route in routes)
