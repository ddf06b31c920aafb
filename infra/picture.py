"""Pictures of a stack in Mermaid, drawn from what the program asks for: the network, and who may do what. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
A_LINE = 3
"""Words on a line of a label."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One resource as a picture needs it."""

    type: str
    """Type token."""
    name: str
    """Logical name."""
    id: str
    """What other resources call it."""
    arn: str
    """What policies call it."""
    inputs: Mapping[str, Any]
    """What it was asked for with, camelCase."""


def network_picture(resources: Sequence[Drawn]) -> str:
    """Return the network: what stands in which subnets, and who reaches whom on which port."""
    (vpc,) = _of(resources, "aws:ec2/vpc:Vpc")
    groups = {one.id: one for one in _of(resources, "aws:ec2/securityGroup:SecurityGroup")}
    members = {one.id: _member(one, resources) for one in groups.values()}
    lines = ["flowchart LR", f'  subgraph vpc ["VPC {vpc.inputs["cidrBlock"]}"]']
    for kind, subnets in _subnets(resources).items():
        lines.append(f'    subgraph {kind} ["{kind} subnets<br/>{"<br/>".join(map(_place, subnets))}"]')
        ids = {one.id for one in subnets}
        for key, (label, stands) in members.items():
            if stands & ids:
                lines.append(f'      {_word(groups[key])}["{label}"]')
        gateways = [
            one for one in _of(resources, "aws:ec2/natGateway:NatGateway") if one.inputs["subnetId"] in ids
        ]
        if gateways:
            lines.append(f'      nat["NAT gateways: {len(gateways)}"]')
        lines.append("    end")
    lines.append("  end")
    lines += _ways(resources, groups)
    return "\n".join(lines)


def role_pictures(resources: Sequence[Drawn]) -> dict[str, str]:
    """Return for each role, by its name, what its own policy allows on what."""
    names = {one.arn: one.name for one in resources if one.arn}
    pictures = {}
    for role in _of(resources, "aws:iam/role:Role"):
        (trust,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        lines = ["flowchart LR", f'  role["{role.name}<br/>assumed by {trust["Principal"]["Service"]}"]']
        for number, statement in enumerate(_statements(role, resources)):
            targets = "<br/>".join(_target(one, names) for one in _many(statement["Resource"]))
            lines.append(f'  role -- "{_actions(statement)}" --> on{number}["{targets}"]')
        pictures[role.name] = "\n".join(lines)
    return dict(sorted(pictures.items()))


def _of(resources: Sequence[Drawn], token: str) -> list[Drawn]:
    return sorted((one for one in resources if one.type == token), key=lambda one: one.name)


def _word(group: Drawn) -> str:
    """Return a security group's name as Mermaid takes it for a node."""
    return group.name.partition("-")[2].replace("-", "_")


def _place(subnet: Drawn) -> str:
    return f"{subnet.inputs['availabilityZone']} {subnet.inputs['cidrBlock']}"


def _subnets(resources: Sequence[Drawn]) -> dict[str, list[Drawn]]:
    """Return public and private subnets: a public one's route table leads to the internet gateway."""
    leading = {
        one.inputs["routeTableId"]
        for one in _of(resources, "aws:ec2/route:Route")
        if one.inputs.get("gatewayId")
    }
    public = {
        one.inputs["subnetId"]
        for one in _of(resources, "aws:ec2/routeTableAssociation:RouteTableAssociation")
        if one.inputs["routeTableId"] in leading
    }
    subnets = _of(resources, "aws:ec2/subnet:Subnet")
    return {
        "public": [one for one in subnets if one.id in public],
        "private": [one for one in subnets if one.id not in public],
    }


def _member(group: Drawn, resources: Sequence[Drawn]) -> tuple[str, set[str]]:
    """Return what a security group is put on, in words, and the subnets that it stands in."""
    for balancer in _of(resources, "aws:lb/loadBalancer:LoadBalancer"):
        if group.id in balancer.inputs["securityGroups"]:
            kind = "internal" if balancer.inputs["internal"] else "public"
            return f"load balancer, {kind}", set(balancer.inputs["subnets"])
    templates = {
        one.id: one
        for one in _of(resources, "aws:ec2/launchTemplate:LaunchTemplate")
        if group.id in one.inputs["networkInterfaces"][0]["securityGroups"]
    }
    for nodes in _of(resources, "aws:autoscaling/group:Group"):
        if _template_id(nodes) in templates:
            room = nodes.name.partition("-")[0]
            sizes = f"{int(nodes.inputs['minSize'])} to {int(nodes.inputs['maxSize'])}"
            return f"{room} nodes, {sizes}", set(nodes.inputs["vpcZoneIdentifiers"])
    doors = [
        one
        for one in _of(resources, "aws:ec2/vpcEndpoint:VpcEndpoint")
        if group.id in one.inputs.get("securityGroupIds", [])
    ]
    services = _wrapped([one.inputs["serviceName"].rpartition(".")[2] for one in doors])
    return f"doors to AWS:<br/>{services}", {subnet for one in doors for subnet in one.inputs["subnetIds"]}


def _template_id(nodes: Drawn) -> str:
    mixed = nodes.inputs.get("mixedInstancesPolicy")
    if mixed:
        return str(mixed["launchTemplate"]["launchTemplateSpecification"]["launchTemplateId"])
    return str(nodes.inputs["launchTemplate"]["id"])


def _ways(resources: Sequence[Drawn], groups: Mapping[str, Drawn]) -> list[str]:
    """Return an arrow for every way: between groups only where both ends have a rule for it."""
    let_in = {(*_peers(one), _ports(one)) for one in _of(resources, INGRESS)}
    lines = []
    for one in _of(resources, INGRESS):
        if "cidrIpv4" in one.inputs:
            target = _word(groups[one.inputs["securityGroupId"]])
            lines.append(f'  clients["{one.inputs["cidrIpv4"]}"] -- "{_ports(one)}" --> {target}')
    for one in _of(resources, EGRESS):
        source = _word(groups[one.inputs["securityGroupId"]])
        peer = str(one.inputs.get("referencedSecurityGroupId"))
        if "prefixListId" in one.inputs:
            lines.append(f'  {source} -- "{_ports(one)}" --> s3["S3, by its gateway endpoint"]')
        elif "cidrIpv4" in one.inputs:
            lines.append(f'  {source} -- "{_ports(one)}" --> out["{one.inputs["cidrIpv4"]}"]')
        elif (*_peers(one), _ports(one)) in let_in:
            lines.append(f'  {source} -- "{_ports(one)}" --> {_word(groups[peer])}')
    return lines


def _peers(rule: Drawn) -> tuple[str, str]:
    """Return who speaks and who is spoken to, of a rule between groups."""
    own, other = rule.inputs["securityGroupId"], rule.inputs.get("referencedSecurityGroupId", "")
    return (other, own) if rule.type == INGRESS else (own, other)


def _ports(rule: Drawn) -> str:
    if rule.inputs["ipProtocol"] == "-1":
        return "everything"
    first, last = int(rule.inputs["fromPort"]), int(rule.inputs["toPort"])
    return f"{rule.inputs['ipProtocol']} {first}" + (f"-{last}" if last != first else "")


def _statements(role: Drawn, resources: Sequence[Drawn]) -> Iterator[dict[str, Any]]:
    for policy in _of(resources, "aws:iam/rolePolicy:RolePolicy"):
        if policy.inputs["role"] in (role.id, role.name):
            yield from json.loads(policy.inputs["policy"])["Statement"]


def _actions(statement: Mapping[str, Any]) -> str:
    """Return what is allowed, service by service, and on which condition."""
    services: dict[str, list[str]] = {}
    for action in _many(statement["Action"]):
        service, _, verb = action.partition(":")
        services.setdefault(service, []).append(verb)
    lines = [f"{service}: {_wrapped(verbs)}" for service, verbs in services.items()]
    for test, keys in statement.get("Condition", {}).items():
        if test == "Null":
            lines.append(f"without {_wrapped([key.partition(':')[2] for key in sorted(keys)])}")
        else:
            lines += [f"where {key} is {_wrapped(_many(value))}" for key, value in sorted(keys.items())]
    return "<br/>".join(lines)


def _wrapped(words: Sequence[str]) -> str:
    """Return words with commas between them, a few a line."""
    rows = [", ".join(words[at : at + A_LINE]) for at in range(0, len(words), A_LINE)]
    return ",<br/>".join(rows)


def _target(arn: str, names: Mapping[str, str]) -> str:
    """Return a resource as the program calls it; of a foreign one, the end of its ARN."""
    if arn == "*":
        return "any: AWS knows no resource for these"
    known = max(
        (one for one in names if arn == one or arn.startswith((f"{one}/", f"{one}:"))), key=len, default=""
    )
    return names[known] + arn.removeprefix(known) if known else ":".join(arn.split(":")[5:])


def _many(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
