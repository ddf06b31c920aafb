"""Doors from the private network to AWS's services. Functions, no component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws.ec2 as ec2

from infra.endpoint_policies import interface_endpoint, s3_endpoint
from infra.policies import text
from infra.source import Source


@dataclass(frozen=True, kw_only=True)
class EndpointArgs:
    """Where the doors stand, and for whom."""

    vpc_id: pulumi.Input[str]
    """The network."""
    account_id: str
    """The account, 12 digits: nobody else's principals may pass."""
    region: str
    """The network's region."""
    source: Source | None = None
    """Data of the training in another bucket; it may be read through the gateway."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags put on every door."""


def make_s3_gateway(
    name: str, args: EndpointArgs, route_tables: Sequence[pulumi.Input[str]], parent: pulumi.Resource
) -> ec2.VpcEndpoint:
    """Make the free route to S3 that no NAT gateway charges for."""
    return ec2.VpcEndpoint(
        name,
        vpc_id=args.vpc_id,
        service_name=f"com.amazonaws.{args.region}.s3",
        vpc_endpoint_type="Gateway",
        route_table_ids=route_tables,
        policy=text(s3_endpoint(args.account_id, args.region, args.source)),
        tags={**args.tags, "Name": name},
        opts=pulumi.ResourceOptions(parent=parent),
    )


def make_interfaces(
    name: str,
    args: EndpointArgs,
    services: Sequence[str],
    subnets: Sequence[pulumi.Input[str]],
    security_group: pulumi.Input[str],
    parent: pulumi.Resource,
) -> None:
    """Make one door a service, in every zone, under the service's usual name."""
    for service in services:
        ec2.VpcEndpoint(
            f"{name}-{service}",
            vpc_id=args.vpc_id,
            service_name=f"com.amazonaws.{args.region}.{service}",
            vpc_endpoint_type="Interface",
            private_dns_enabled=True,
            subnet_ids=subnets,
            security_group_ids=[security_group],
            policy=text(interface_endpoint(service, args.account_id)),
            tags={**args.tags, "Name": f"{name}-{service}"},
            opts=pulumi.ResourceOptions(parent=parent),
        )
