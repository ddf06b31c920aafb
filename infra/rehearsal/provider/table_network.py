"""Rows of the network: what addresses there are and where packets go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.row import Row
from infra.rehearsal.provider.tags import EC2
from infra.rehearsal.provider.target import Target

VPC_SWITCHES = {"enableDnsSupport": "EnableDnsSupport", "enableDnsHostnames": "EnableDnsHostnames"}


def _switch_vpc(target: Target, changed: set[str]) -> None:
    for name in changed & set(VPC_SWITCHES):  # one a call: AWS takes no more
        switch: dict[str, Any] = {VPC_SWITCHES[name]: {"Value": bool(target.inputs.get(name))}}
        target.call("modify_vpc_attribute", VpcId=target.id, **switch)


def _vpc_switches(target: Target, _: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: target.call("describe_vpc_attribute", VpcId=target.id, Attribute=name)[member]["Value"]
        for name, member in VPC_SWITCHES.items()
        if name in target.inputs
    }


def _switch_subnet(target: Target, changed: set[str]) -> None:
    if "mapPublicIpOnLaunch" in changed:
        value = {"Value": bool(target.inputs.get("mapPublicIpOnLaunch"))}
        target.call("modify_subnet_attribute", SubnetId=target.id, MapPublicIpOnLaunch=value)


def _attach(target: Target, changed: set[str]) -> None:
    if "vpcId" not in changed:
        return
    before = target.before.get("vpcId")
    if before:
        target.call("detach_internet_gateway", InternetGatewayId=target.id, VpcId=before)
    asked = target.inputs.get("vpcId")
    if not asked:
        return
    (found,) = target.call("describe_internet_gateways", InternetGatewayIds=[target.id])["InternetGateways"]
    # An `up` that was killed may have done it: its creation is answered once more, as the same gateway.
    if asked not in [one["VpcId"] for one in found["Attachments"]]:
        target.call("attach_internet_gateway", InternetGatewayId=target.id, VpcId=asked)


def _detach(target: Target) -> None:
    if target.inputs.get("vpcId"):
        target.call("detach_internet_gateway", InternetGatewayId=target.id, VpcId=target.inputs["vpcId"])


def _flow_log(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation == "create_flow_logs":
        request["ResourceIds"], request["ResourceType"] = [target.inputs["vpcId"]], "VPC"
    return request


ROWS: Mapping[str, Row] = {
    "aws:ec2/vpc:Vpc": Row(
        service="ec2",
        create="create_vpc",
        read="describe_vpcs",
        delete="delete_vpc",
        id="answer.Vpc.VpcId",
        address={"VpcId": "id", "VpcIds": "[id]"},
        found="Vpcs[0]",
        outputs={
            "arn": "join('', ['arn:aws:ec2:', region, ':', account, ':vpc/', id])",
            "ownerId": "account",
        },
        in_place=tuple(VPC_SWITCHES),
        change=_switch_vpc,
        seen=_vpc_switches,
        tagging=EC2,
    ),
    "aws:ec2/subnet:Subnet": Row(
        service="ec2",
        create="create_subnet",
        read="describe_subnets",
        delete="delete_subnet",
        id="answer.Subnet.SubnetId",
        address={"SubnetId": "id", "SubnetIds": "[id]"},
        found="Subnets[0]",
        outputs={"arn": "found.SubnetArn", "availabilityZoneId": "found.AvailabilityZoneId"},
        in_place=("mapPublicIpOnLaunch",),
        change=_switch_subnet,
        seen=lambda _, found: {"mapPublicIpOnLaunch": found.get("MapPublicIpOnLaunch")},
        tagging=EC2,
    ),
    "aws:ec2/internetGateway:InternetGateway": Row(
        service="ec2",
        create="create_internet_gateway",
        read="describe_internet_gateways",
        delete="delete_internet_gateway",
        id="answer.InternetGateway.InternetGatewayId",
        address={"InternetGatewayId": "id", "InternetGatewayIds": "[id]"},
        found="InternetGateways[0]",
        in_place=("vpcId",),
        change=_attach,
        seen=lambda _, found: {"vpcId": (found.get("Attachments") or [{}])[0].get("VpcId")},
        before_delete=_detach,
        tagging=EC2,
    ),
    "aws:ec2/eip:Eip": Row(
        service="ec2",
        create="allocate_address",
        read="describe_addresses",
        delete="release_address",
        id="answer.AllocationId",
        address={"AllocationId": "id", "AllocationIds": "[id]"},
        found="Addresses[0]",
        outputs={"publicIp": "found.PublicIp", "allocationId": "id"},
        tagging=EC2,
    ),
    "aws:ec2/natGateway:NatGateway": Row(
        service="ec2",
        create="create_nat_gateway",
        read="describe_nat_gateways",
        delete="delete_nat_gateway",
        id="answer.NatGateway.NatGatewayId",
        address={"NatGatewayId": "id", "NatGatewayIds": "[id]"},
        found="NatGateways[0]",
        gone="contains(['deleted', 'deleting'], found.State)",
        names={"allocationId": "AllocationId"},
        outputs={"publicIp": "found.NatGatewayAddresses[0].PublicIp"},
        tagging=EC2,
    ),
    "aws:ec2/flowLog:FlowLog": Row(
        service="ec2",
        create="create_flow_logs",
        read="describe_flow_logs",
        delete="delete_flow_logs",
        id="answer.FlowLogIds[0]",
        address={"FlowLogIds": "[id]"},
        found="FlowLogs[0]",
        names={"iamRoleArn": "DeliverLogsPermissionArn", "vpcId": ""},
        outputs={"arn": "join('', ['arn:aws:ec2:', region, ':', account, ':vpc-flow-log/', id])"},
        mend=_flow_log,
        seen=lambda _, found: {"vpcId": found.get("ResourceId")},
        tagging=EC2,
    ),
    "aws:ec2/routeTable:RouteTable": Row(
        service="ec2",
        create="create_route_table",
        read="describe_route_tables",
        delete="delete_route_table",
        id="answer.RouteTable.RouteTableId",
        address={"RouteTableId": "id", "RouteTableIds": "[id]"},
        found="RouteTables[0]",
        tagging=EC2,
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Row(
        service="ec2",
        create="associate_route_table",
        read="describe_route_tables",
        delete="disassociate_route_table",
        id="answer.AssociationId",
        address={"AssociationId": "id", "RouteTableIds": "[inputs.routeTableId]"},
        found="RouteTables[0].Associations[?RouteTableAssociationId=='{id}']|[0]",
    ),
    "aws:ec2/route:Route": Row(
        service="ec2",
        create="create_route",
        read="describe_route_tables",
        update=("replace_route",),
        delete="delete_route",
        id="join('_', [inputs.routeTableId, inputs.destinationCidrBlock])",
        address={
            "RouteTableId": "inputs.routeTableId",
            "RouteTableIds": "[inputs.routeTableId]",
            "DestinationCidrBlock": "inputs.destinationCidrBlock",
        },
        found="RouteTables[0].Routes[?DestinationCidrBlock=='{inputs.destinationCidrBlock}']|[0]",
        outputs={"state": "found.State", "origin": "found.Origin"},
        replace=("routeTableId", "destinationCidrBlock"),
    ),
}
