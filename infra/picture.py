"""The picture of a stack's network in Mermaid, drawn from what the program asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
NAT = "aws:ec2/natGateway:NatGateway"
A_LINE = 3
"""Words on a line of a label: Mermaid breaks longer ones where it likes."""


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
    (vpc,) = of(resources, "aws:ec2/vpc:Vpc")
    groups = {one.id: one for one in of(resources, "aws:ec2/securityGroup:SecurityGroup")}
    members = {one.id: _member(one, resources) for one in groups.values()}
    lines = ["flowchart TB", f'  subgraph vpc ["VPC {vpc.inputs["cidrBlock"]}"]']
    # A title of more than one line would be drawn over what stands below it: the ranges have a table.
    for kind, subnets in _subnets(resources).items():
        lines.append(f'    subgraph {kind} ["{kind} subnets"]')
        ids = {one.id for one in subnets}
        for key, (label, stands) in members.items():
            if stands & ids:
                lines.append(f'      {_word(groups[key])}["{label}"]')
        gateways = [one for one in of(resources, NAT) if one.inputs["subnetId"] in ids]
        if gateways:
            lines.append(f'      nat["NAT gateways: {len(gateways)}"]')
        lines.append("    end")
    if any(one.inputs["vpcEndpointType"] == "Gateway" for one in of(resources, ENDPOINT)):
        lines.append('    s3["S3, by its gateway endpoint"]')
    lines.append("  end")
    lines += _ways(resources, groups, {key: stands for key, (_, stands) in members.items()})
    return "\n".join(lines)


def subnet_table(resources: Sequence[Drawn]) -> str:
    """Return the range of every subnet by zone, as a table in Markdown."""
    subnets = _subnets(resources)
    ranges = {
        kind: {one.inputs["availabilityZone"]: one.inputs["cidrBlock"] for one in found}
        for kind, found in subnets.items()
    }
    zones = sorted({zone for found in ranges.values() for zone in found})
    rows = [["zone", *ranges], ["---"] * (len(ranges) + 1)]
    rows += [[zone, *(found.get(zone, "none") for found in ranges.values())] for zone in zones]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def of(resources: Sequence[Drawn], token: str) -> list[Drawn]:
    """Return the resources of a type, by name."""
    return sorted((one for one in resources if one.type == token), key=lambda one: one.name)


def _word(group: Drawn) -> str:
    """Return a security group's name as Mermaid takes it for a node."""
    return group.name.partition("-")[2].replace("-", "_")


def _subnets(resources: Sequence[Drawn]) -> dict[str, list[Drawn]]:
    """Return public and private subnets: a public one's route table leads to the internet gateway."""
    leading = {
        one.inputs["routeTableId"]
        for one in of(resources, "aws:ec2/route:Route")
        if one.inputs.get("gatewayId")
    }
    public = {
        one.inputs["subnetId"]
        for one in of(resources, "aws:ec2/routeTableAssociation:RouteTableAssociation")
        if one.inputs["routeTableId"] in leading
    }
    subnets = of(resources, "aws:ec2/subnet:Subnet")
    return {
        "public": [one for one in subnets if one.id in public],
        "private": [one for one in subnets if one.id not in public],
    }


def _member(group: Drawn, resources: Sequence[Drawn]) -> tuple[str, set[str]]:
    """Return what a security group is put on, in words, and the subnets that it stands in."""
    for balancer in of(resources, "aws:lb/loadBalancer:LoadBalancer"):
        if group.id in balancer.inputs["securityGroups"]:
            kind = "internal" if balancer.inputs["internal"] else "public"
            return f"load balancer, {kind}", set(balancer.inputs["subnets"])
    templates = {
        one.id: one
        for one in of(resources, "aws:ec2/launchTemplate:LaunchTemplate")
        if group.id in one.inputs["networkInterfaces"][0]["securityGroups"]
    }
    for nodes in of(resources, "aws:autoscaling/group:Group"):
        if _template_id(nodes) in templates:
            room = nodes.name.partition("-")[0]
            sizes = f"{int(nodes.inputs['minSize'])} to {int(nodes.inputs['maxSize'])}"
            return f"{room} nodes, {sizes}", set(nodes.inputs["vpcZoneIdentifiers"])
    doors = [one for one in of(resources, ENDPOINT) if group.id in one.inputs.get("securityGroupIds", [])]
    services = wrapped([one.inputs["serviceName"].rpartition(".")[2] for one in doors])
    return f"endpoints of AWS:<br/>{services}", {
        subnet for one in doors for subnet in one.inputs["subnetIds"]
    }


def _template_id(nodes: Drawn) -> str:
    mixed = nodes.inputs.get("mixedInstancesPolicy")
    if mixed:
        return str(mixed["launchTemplate"]["launchTemplateSpecification"]["launchTemplateId"])
    return str(nodes.inputs["launchTemplate"]["id"])


def _ways(
    resources: Sequence[Drawn], groups: Mapping[str, Drawn], stands: Mapping[str, set[str]]
) -> list[str]:
    """Return an arrow for every way: between groups only where both ends have a rule for it."""
    let_in = {(*_peers(one), _ports(one)) for one in of(resources, INGRESS)}
    private = {one.id for one in _subnets(resources)["private"]}
    lines = []
    for one in of(resources, INGRESS):
        if "cidrIpv4" in one.inputs:
            target = _word(groups[one.inputs["securityGroupId"]])
            lines.append(f'  clients["clients: {one.inputs["cidrIpv4"]}"] -- "{_ports(one)}" --> {target}')
    by_nat = []
    for one in of(resources, EGRESS):
        group = one.inputs["securityGroupId"]
        source = _word(groups[group])
        peer = str(one.inputs.get("referencedSecurityGroupId"))
        if "prefixListId" in one.inputs:
            lines.append(f'  {source} -- "{_ports(one)}" --> s3')
        elif "cidrIpv4" in one.inputs:
            internet = f'internet["internet: {one.inputs["cidrIpv4"]}"]'
            if stands[group] & private:
                lines.append(f'  {source} -- "{_ports(one)}" --> nat')
                by_nat.append(f"  nat --> {internet}")
            else:
                lines.append(f'  {source} -- "{_ports(one)}" --> {internet}')
        elif (*_peers(one), _ports(one)) in let_in:
            lines.append(f'  {source} -- "{_ports(one)}" --> {_word(groups[peer])}')
    return [*lines, *dict.fromkeys(by_nat)]


def _peers(rule: Drawn) -> tuple[str, str]:
    """Return who speaks and who is spoken to, of a rule between groups."""
    own, other = rule.inputs["securityGroupId"], rule.inputs.get("referencedSecurityGroupId", "")
    return (other, own) if rule.type == INGRESS else (own, other)


def _ports(rule: Drawn) -> str:
    if rule.inputs["ipProtocol"] == "-1":
        return "everything"
    first, last = int(rule.inputs["fromPort"]), int(rule.inputs["toPort"])
    return f"{rule.inputs['ipProtocol']} {first}" + (f"-{last}" if last != first else "")


def wrapped(words: Sequence[str]) -> str:
    """Return words with commas between them, a few a line."""
    rows = [", ".join(words[at : at + A_LINE]) for at in range(0, len(words), A_LINE)]
    return ",<br/>".join(rows)
