"""The network: nodes in private subnets, the balancer's subnets, and what leads out of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

import pulumi
import pulumi_aws.ec2 as ec2

from infra.addresses import NARROWEST, WIDEST, check_addresses, subnets
from infra.endpoint_policies import CALLS
from infra.endpoints import EndpointArgs, make_interfaces, make_s3_gateway
from infra.flow_logs import FlowLogArgs, make_flow_logs
from infra.routes import Nat, Routes, RoutesArgs
from infra.security_groups import SecurityGroups, SecurityGroupsArgs
from infra.source import source


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
    data: str = ""
    """The training's data, as set: where it names another bucket, that is readable through the S3 gateway."""
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
        check_addresses("cidr", self.cidr, WIDEST, NARROWEST)
        for cidr in self.allowed_cidrs:
            check_addresses("allowed_cidrs", cidr)
        if unknown := sorted(set(self.endpoint_services) - set(CALLS)):
            raise ValueError(
                f"endpoint_services must be among {', '.join(sorted(CALLS))}, got {unknown}; "
                "a new one needs its calls in infra/endpoint_policies.py"
            )


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
        routes = Routes(
            name,
            RoutesArgs(
                vpc_id=self._vpc.id,
                public_subnets=[one.id for one in public_subnets],
                private_subnets=[one.id for one in private_subnets],
                nat=args.nat,
                public_load_balancer=args.public_load_balancer,
                tags=args.tags,
            ),
            self,
        )
        self._doors(private_subnets, routes.private_tables)
        self.vpc_id = self._vpc.id
        self.public_subnet_ids = [one.id for one in public_subnets]
        self.private_subnet_ids = [one.id for one in private_subnets]
        self.nat_public_ips = [gateway.public_ip for gateway in routes.gateways]
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

    def _doors(self, private_subnets: Sequence[ec2.Subnet], tables: Sequence[ec2.RouteTable]) -> None:
        """Make the endpoints and the security groups, which name each other."""
        args = self._args
        doors = EndpointArgs(
            vpc_id=self._vpc.id,
            account_id=args.account_id,
            region=args.region,
            source=source(args.data),
            tags=args.tags,
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
