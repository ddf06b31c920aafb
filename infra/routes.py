"""What leads out of the network, and who is led there. Functions, no component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pulumi
import pulumi_aws.ec2 as ec2

from infra.security_groups import ANYWHERE

Nat = Literal["one", "per-zone", "none"]


@dataclass(frozen=True, kw_only=True)
class RoutesArgs:
    """Which subnets there are, and what they need."""

    vpc_id: pulumi.Input[str]
    """The network."""
    public_subnets: Sequence[pulumi.Input[str]]
    """Subnets of the balancer and of NAT gateways, in the order of zones."""
    private_subnets: Sequence[pulumi.Input[str]]
    """Subnets of nodes, in the order of zones."""
    nat: Nat
    """Ways to the internet for nodes."""
    public_load_balancer: bool
    """The balancer is reached from the internet."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags put on all that can have them."""


class Routes:
    """The gateways and route tables of a network."""

    gateways: list[ec2.NatGateway]
    """None, one, or one a zone."""
    private_tables: list[ec2.RouteTable]
    """One a zone, whatever leads out, so that another `nat` changes routes and no tables."""

    def __init__(self, name: str, args: RoutesArgs, parent: pulumi.Resource) -> None:
        self._name, self._args = name, args
        self._parent, self._child = parent, pulumi.ResourceOptions(parent=parent)
        self.gateways = self._ways_out()
        self.private_tables = [self._private(*numbered) for numbered in enumerate(args.private_subnets)]

    def _ways_out(self) -> list[ec2.NatGateway]:
        """Lead the public subnets to the internet where something needs it, and nodes through them."""
        args = self._args
        if args.nat == "none" and not args.public_load_balancer:
            return []
        internet = ec2.InternetGateway(
            f"{self._name}-internet", vpc_id=args.vpc_id, tags=self._named("internet"), opts=self._child
        )
        table = self._table("public", args.public_subnets)
        route = self._route("public", table, gateway_id=internet.id)
        count = {"none": 0, "one": 1, "per-zone": len(args.public_subnets)}[args.nat]
        return [self._gateway(number, args.public_subnets[number], route) for number in range(count)]

    def _gateway(self, number: int, subnet: pulumi.Input[str], route: ec2.Route) -> ec2.NatGateway:
        name = f"nat-{number}"
        address = ec2.Eip(
            f"{self._name}-{name}-address", domain="vpc", tags=self._named(name), opts=self._child
        )
        return ec2.NatGateway(
            f"{self._name}-{name}",
            allocation_id=address.id,
            subnet_id=subnet,
            tags=self._named(name),
            opts=pulumi.ResourceOptions(
                parent=self._parent, depends_on=[route]
            ),  # it fails without a way out
        )

    def _private(self, number: int, subnet: pulumi.Input[str]) -> ec2.RouteTable:
        table = self._table(f"private-{number}", [subnet])
        if self.gateways:
            nearest = self.gateways[min(number, len(self.gateways) - 1)]
            self._route(f"private-{number}", table, nat_gateway_id=nearest.id)
        return table

    def _table(self, what: str, served: Sequence[pulumi.Input[str]]) -> ec2.RouteTable:
        table = ec2.RouteTable(
            f"{self._name}-{what}-routes", vpc_id=self._args.vpc_id, tags=self._named(what), opts=self._child
        )
        for number, subnet in enumerate(served):
            ec2.RouteTableAssociation(
                f"{self._name}-{what}-routes-{number}",
                subnet_id=subnet,
                route_table_id=table.id,
                opts=self._child,
            )
        return table

    def _route(self, what: str, table: ec2.RouteTable, **target: pulumi.Input[str]) -> ec2.Route:
        return ec2.Route(
            f"{self._name}-{what}-out",
            route_table_id=table.id,
            destination_cidr_block=ANYWHERE,
            **target,
            opts=self._child,
        )

    def _named(self, what: str) -> dict[str, str]:
        return {**self._args.tags, "Name": f"{self._name}-{what}"}
