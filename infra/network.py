"""The network: nodes in private subnets, the balancer's subnets, and what leads out of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import pulumi
import pulumi_aws.ec2 as ec2

from infra.endpoint_policies import CALLS
from infra.endpoints import EndpointArgs, make_interfaces, make_s3_gateway
from infra.flow_logs import FlowLogArgs, make_flow_logs
from infra.security_groups import ANYWHERE, SecurityGroups, SecurityGroupsArgs

Nat = Literal["one", "per-zone", "none"]
WIDEST, NARROWEST = 16, 22
"""Prefix lengths of a network: AWS takes no wider one; in a narrower one a balancer's subnet has too few addresses."""


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """How large the network is and what leads out of it."""

    account_id: str
    """The account, 12 digits: only its principals pass the endpoints."""
    region: str
    """The stack's region."""
    cidr: str
    """IPv4 addresses of the network, as 10.0.0.0/16. Prefix length 16..22."""
    zones: Sequence[str]
    """Names of two or three availability zones."""
    nat: Nat
    """Ways to the internet for nodes: one NAT gateway, one a zone, or none."""
    public_load_balancer: bool
    """The balancer is reached from the internet, so its subnets have a route there."""
    allowed_cidrs: Sequence[str]
    """Addresses that may reach port 443 of the balancer, as 203.0.113.0/24."""
    log_retention_days: int
    """Days for which the record of connections is kept; a number that CloudWatch Logs knows."""
    kms_key_arn: pulumi.Input[str]
    """Key that encrypts that record."""
    efa: bool = False
    """Training nodes speak through EFA: every protocol among themselves instead of TCP alone."""
    token_keys: bool = False
    """The balancer verifies tokens, so it fetches the issuer's public keys over HTTPS."""
    endpoint_services: Sequence[str] = tuple(CALLS)
    """AWS services that nodes reach without the internet; without NAT, all of these are needed."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags put on every child."""

    def __post_init__(self) -> None:
        """Refuse what AWS would refuse, or what would leave nodes cut off."""
        if not 2 <= len(set(self.zones)) <= 3 or len(set(self.zones)) != len(self.zones):
            raise ValueError(f"zones must be 2 or 3 different names, got {list(self.zones)}; change them")
        if self.nat not in get_args(Nat):
            raise ValueError(f"nat must be one, per-zone or none, got `{self.nat}`; choose one of them")
        _network("cidr", self.cidr, WIDEST, NARROWEST)
        for cidr in self.allowed_cidrs:
            _network("allowed_cidrs", cidr, 0, 32)
        if unknown := sorted(set(self.endpoint_services) - set(CALLS)):
            raise ValueError(
                f"endpoint_services must be among {', '.join(sorted(CALLS))}, got {unknown}; "
                "a new one needs its calls in infra/endpoint_policies.py"
            )


def subnets(cidr: str, zones: int) -> tuple[list[str], list[str]]:
    """Return the addresses of public and of private subnets, one a zone.

    A quarter each for the nodes of three zones; the last quarter holds the balancer's subnets, which need few. A
    third zone added later leaves the others as they are.
    """
    *private, rest = ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=2)
    public = list(rest.subnets(prefixlen_diff=2))
    return [str(one) for one in public[:zones]], [str(one) for one in private[:zones]]


class Network(pulumi.ComponentResource):
    """A VPC of two or three zones; no node has an address of the internet, and every connection is recorded."""

    vpc_id: pulumi.Output[str]
    """The network."""
    public_subnet_ids: list[pulumi.Output[str]]
    """Subnets of the balancer and of NAT gateways, in the order of zones."""
    private_subnet_ids: list[pulumi.Output[str]]
    """Subnets of nodes, in the order of zones."""
    load_balancer_security_group_id: pulumi.Output[str]
    """Group of the balancer."""
    train_security_group_id: pulumi.Output[str]
    """Group of training nodes."""
    serve_security_group_id: pulumi.Output[str]
    """Group of serving nodes."""
    endpoint_security_group_id: pulumi.Output[str]
    """Group of the interface endpoints."""
    nat_public_ips: list[pulumi.Output[str]]
    """Addresses that nodes show to the internet: none, one, or one a zone."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("skylift:index:Network", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._vpc = self._make_vpc()
        public, private = subnets(args.cidr, len(args.zones))
        public_subnets = self._subnets("public", public)
        private_subnets = self._subnets("private", private)
        gateways = self._ways_out(public_subnets)
        tables = self._private_routes(private_subnets, gateways)
        self._doors(private_subnets, tables)
        self.vpc_id = self._vpc.id
        self.public_subnet_ids = [one.id for one in public_subnets]
        self.private_subnet_ids = [one.id for one in private_subnets]
        self.nat_public_ips = [gateway.public_ip for gateway in gateways]
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "public_subnet_ids": self.public_subnet_ids,
                "private_subnet_ids": self.private_subnet_ids,
                "load_balancer_security_group_id": self.load_balancer_security_group_id,
                "train_security_group_id": self.train_security_group_id,
                "serve_security_group_id": self.serve_security_group_id,
                "endpoint_security_group_id": self.endpoint_security_group_id,
                "nat_public_ips": self.nat_public_ips,
            }
        )

    def _named(self, what: str) -> dict[str, str]:
        return {**self._args.tags, "Name": f"{self._name}-{what}"}

    def _make_vpc(self) -> ec2.Vpc:
        vpc = ec2.Vpc(
            f"{self._name}-vpc",
            cidr_block=self._args.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,  # the endpoints' private names need both
            tags=self._named("vpc"),
            opts=self._child,
        )
        # AWS's default group lets its members speak to each other and to the world; emptied, it is of no use to anyone.
        ec2.DefaultSecurityGroup(
            f"{self._name}-default",
            vpc_id=vpc.id,
            ingress=[],
            egress=[],
            tags=self._named("default"),
            opts=self._child,
        )
        flow = FlowLogArgs(
            vpc_id=vpc.id,
            account_id=self._args.account_id,
            region=self._args.region,
            retention_days=self._args.log_retention_days,
            kms_key_arn=self._args.kms_key_arn,
            tags=self._args.tags,
        )
        make_flow_logs(f"{self._name}-flow", flow, self)
        return vpc

    def _subnets(self, what: str, cidrs: Sequence[str]) -> list[ec2.Subnet]:
        return [
            ec2.Subnet(
                f"{self._name}-{what}-{number}",
                vpc_id=self._vpc.id,
                cidr_block=cidr,
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags=self._named(f"{what}-{zone}"),
                opts=self._child,
            )
            for number, (zone, cidr) in enumerate(zip(self._args.zones, cidrs, strict=True))
        ]

    def _ways_out(self, public_subnets: Sequence[ec2.Subnet]) -> list[ec2.NatGateway]:
        """Lead the public subnets to the internet where something needs it; return the NAT gateways."""
        if self._args.nat == "none" and not self._args.public_load_balancer:
            return []
        internet = ec2.InternetGateway(
            f"{self._name}-internet", vpc_id=self._vpc.id, tags=self._named("internet"), opts=self._child
        )
        table = self._route_table("public", public_subnets)
        route = self._route("public", table, gateway_id=internet.id)
        count = {"none": 0, "one": 1, "per-zone": len(public_subnets)}[self._args.nat]
        return [self._nat(number, subnet, route) for number, subnet in enumerate(public_subnets[:count])]

    def _nat(self, number: int, subnet: ec2.Subnet, route: ec2.Route) -> ec2.NatGateway:
        address = ec2.Eip(
            f"{self._name}-nat-{number}-address",
            domain="vpc",
            tags=self._named(f"nat-{number}"),
            opts=self._child,
        )
        return ec2.NatGateway(
            f"{self._name}-nat-{number}",
            allocation_id=address.id,
            subnet_id=subnet.id,
            tags=self._named(f"nat-{number}"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[route]),  # it fails without a way out
        )

    def _private_routes(
        self, private_subnets: Sequence[ec2.Subnet], gateways: Sequence[ec2.NatGateway]
    ) -> list[ec2.RouteTable]:
        """Make one table a zone, whatever leads out, so that changing `nat` changes routes and no tables."""
        tables = []
        for number, subnet in enumerate(private_subnets):
            table = self._route_table(f"private-{number}", [subnet])
            if gateways:
                nearest = gateways[min(number, len(gateways) - 1)]
                self._route(f"private-{number}", table, nat_gateway_id=nearest.id)
            tables.append(table)
        return tables

    def _route_table(self, what: str, served: Sequence[ec2.Subnet]) -> ec2.RouteTable:
        table = ec2.RouteTable(
            f"{self._name}-{what}-routes", vpc_id=self._vpc.id, tags=self._named(what), opts=self._child
        )
        for number, subnet in enumerate(served):
            ec2.RouteTableAssociation(
                f"{self._name}-{what}-routes-{number}",
                subnet_id=subnet.id,
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

    def _doors(self, private_subnets: Sequence[ec2.Subnet], tables: Sequence[ec2.RouteTable]) -> None:
        """Make the endpoints and the security groups, which name each other."""
        args = self._args
        doors = EndpointArgs(
            vpc_id=self._vpc.id, account_id=args.account_id, region=args.region, tags=args.tags
        )
        s3 = make_s3_gateway(f"{self._name}-s3", doors, [table.id for table in tables], self)
        groups = SecurityGroups(
            self._name,
            SecurityGroupsArgs(
                vpc_id=self._vpc.id,
                s3_prefix_list=s3.prefix_list_id,
                allowed_cidrs=args.allowed_cidrs,
                internet=args.nat != "none",
                token_keys=args.token_keys,
                efa=args.efa,
                tags=args.tags,
            ),
            self,
        )
        ids = [subnet.id for subnet in private_subnets]
        make_interfaces(f"{self._name}-to", doors, args.endpoint_services, ids, groups.endpoints.id, self)
        self.load_balancer_security_group_id = groups.load_balancer.id
        self.train_security_group_id = groups.train.id
        self.serve_security_group_id = groups.serve.id
        self.endpoint_security_group_id = groups.endpoints.id


def _network(name: str, cidr: str, shortest: int, longest: int) -> None:
    try:
        prefix = ipaddress.IPv4Network(cidr).prefixlen
    except ValueError as error:
        raise ValueError(
            f"{name} must be IPv4 addresses as 10.0.0.0/16, got `{cidr}` ({error}); change it"
        ) from None
    if not shortest <= prefix <= longest:
        raise ValueError(
            f"{name} must have a prefix length of {shortest} to {longest}, got `{cidr}`; change the number behind the /"
        )
