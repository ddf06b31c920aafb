"""Security groups: who may speak to whom, on which ports."""

from __future__ import annotations

from collections.abc import Iterator

from .network import ANYWHERE, LOGIN_PORTS
from .resource import Resource, Stack
from .row import alone, among

GROUP = "aws:ec2/securityGroup:SecurityGroup"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
BALANCER = "aws:lb/loadBalancer:LoadBalancer"
INNER_PORTS = (7070, 7071, 8080, 8081, 8082, 8443, 9090, 9400, 29400, 29500)
"""TorchServe, HAProxy on a node, metrics, rendezvous: between groups of this stack, never for addresses."""


@alone(
    7,
    "no-login-ports",
    "Nobody reaches 22 or 3389 from anywhere (EC2.13, EC2.14, CKV_AWS_24, 25, 277)",
    INGRESS,
)
def no_login_ports(rule: Resource) -> Iterator[str]:
    if _from_anywhere(rule) and (open_ports := [port for port in LOGIN_PORTS if port in _ports(rule)]):
        yield f"opens port {open_ports[0]} to everybody; use Session Manager and remove the rule"


@among(
    8,
    "only-balancer-open",
    "Only the balancer is open to everybody, on 443 (EC2.18, EC2.19, CKV_AWS_260)",
    INGRESS,
)
def only_balancer_open(rule: Resource, stack: Stack) -> Iterator[str]:
    if not _from_anywhere(rule):
        return
    groups = stack.referred(rule, "securityGroupId")
    if not all(stack.referring(group, BALANCER, "securityGroups") for group in groups):
        yield "lets everybody reach what is no load balancer; name a security group instead of addresses"
    if _ports(rule) != range(443, 444):
        yield "opens more than 443 to everybody; set from_port and to_port to 443"


@alone(9, "inner-ports", "Ports of serving, metrics and rendezvous are for groups, not addresses", INGRESS)
def inner_ports(rule: Resource) -> Iterator[str]:
    inner = [port for port in INNER_PORTS if port in _ports(rule)]
    if inner and not rule.has("referencedSecurityGroupId"):
        yield f"lets addresses reach port {inner[0]}; refer to a security group"


@alone(10, "described", "Groups and rules say what they are for (CKV_AWS_23)", GROUP, INGRESS, EGRESS)
def described(resource: Resource) -> Iterator[str]:
    if resource.get("description") in (None, "", "Managed by Pulumi"):
        yield "has no description; say who speaks to whom and why"


@alone(11, "no-open-way-out", "No rule lets every protocol out to everybody (CKV_AWS_382)", EGRESS)
def no_open_way_out(rule: Resource) -> Iterator[str]:
    if _from_anywhere(rule) and rule.get("ipProtocol") == "-1":
        yield "lets everything out to everybody; name protocol and port"


@among(12, "attached", "Every security group is used (CKV2_AWS_5)", GROUP)
def attached(group: Resource, stack: Stack) -> Iterator[str]:
    rules = (INGRESS, EGRESS)
    users = [one for one in stack.resources if one.type not in rules and one.key != group.key]
    if not any(group.key in keys for one in users for keys in one.references.values()):
        yield "is attached to nothing; remove it"


def _from_anywhere(rule: Resource) -> bool:
    return bool({rule.get("cidrIpv4"), rule.get("cidrIpv6")} & ANYWHERE)


def _ports(rule: Resource) -> range:
    if rule.get("ipProtocol") == "-1":
        return range(65536)
    return range(int(rule.get("fromPort")), int(rule.get("toPort")) + 1)
