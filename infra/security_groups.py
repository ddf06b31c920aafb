"""Who may speak to whom: security groups that name each other, not addresses. Functions, no component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws.ec2 as ec2
import pulumi_aws.vpc as vpc

ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Which packets a rule lets through."""

    protocol: str
    """`tcp`, or `-1` for every protocol there is."""
    first: int | None
    """First port; None where protocols have none."""
    last: int | None
    """Last port."""


HTTPS = Ports(protocol="tcp", first=443, last=443)
SERVING = Ports(protocol="tcp", first=8443, last=8443)
"""A serving node's HAProxy."""
RENDEZVOUS = Ports(protocol="tcp", first=1024, last=65535)
"""Gloo and NCCL choose their ports themselves."""
EVERYTHING = Ports(protocol="-1", first=None, last=None)
"""EFA's packets are of a protocol of their own, which no port rule knows."""


@dataclass(frozen=True, kw_only=True)
class SecurityGroupsArgs:
    """What the rules depend on."""

    vpc_id: pulumi.Input[str]
    """The network."""
    s3_prefix_list: pulumi.Input[str]
    """The addresses of S3 in this region, as the gateway endpoint names them."""
    allowed_cidrs: Sequence[str]
    """Who may reach the balancer."""
    internet: bool
    """Nodes have a way out, so they may ask for packages over HTTPS."""
    token_keys: bool
    """The balancer fetches an issuer's public keys over HTTPS."""
    efa: bool
    """Training nodes speak through EFA to each other."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags put on groups and rules."""


class SecurityGroups:
    """The four groups and every rule between them."""

    def __init__(self, name: str, args: SecurityGroupsArgs, parent: pulumi.Resource) -> None:
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=parent)
        self.load_balancer = self._group("load-balancer", "Load balancer: HTTPS from those who are allowed")
        self.serve = self._group("serve", "Serving nodes: reached by the load balancer only")
        self.train = self._group("train", "Training nodes: reached by each other only")
        self.endpoints = self._group("endpoints", "Doors to AWS services: reached by nodes only")
        self._clients()
        self._balancer()
        self._training()
        for room, node in (("train", self.train), ("serve", self.serve)):
            self._node(room, node)

    def _clients(self) -> None:
        for number, cidr in enumerate(self._args.allowed_cidrs):
            self._ingress(
                f"clients-{number}", self.load_balancer, f"HTTPS from {cidr}", HTTPS, cidr_ipv4=cidr
            )

    def _balancer(self) -> None:
        self._pair(
            "balancer-to-serve", self.load_balancer, self.serve, "load balancer to serving nodes", SERVING
        )
        if self._args.token_keys:
            self._egress(
                "balancer-to-issuer",
                self.load_balancer,
                "HTTPS to the issuer of tokens, for its public keys",
                HTTPS,
                cidr_ipv4=ANYWHERE,
            )

    def _training(self) -> None:
        # A rule at each end for EFA too: a rule that lets everything out to the world does not count for it.
        ports = EVERYTHING if self._args.efa else RENDEZVOUS
        self._pair("train-to-train", self.train, self.train, "training nodes among themselves", ports)

    def _node(self, room: str, node: ec2.SecurityGroup) -> None:
        self._pair(f"{room}-to-endpoints", node, self.endpoints, f"{room} nodes to AWS services", HTTPS)
        self._egress(f"{room}-to-s3", node, "HTTPS to S3", HTTPS, prefix_list_id=self._args.s3_prefix_list)
        if self._args.internet:
            self._egress(f"{room}-to-internet", node, "HTTPS to package indexes", HTTPS, cidr_ipv4=ANYWHERE)

    def _group(self, what: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            f"{self._name}-{what}",
            vpc_id=self._args.vpc_id,
            description=description,
            tags={**self._args.tags, "Name": f"{self._name}-{what}"},
            opts=self._child,
        )

    def _pair(
        self, what: str, source: ec2.SecurityGroup, target: ec2.SecurityGroup, meaning: str, ports: Ports
    ) -> None:
        """Let one group reach another: a rule at each end."""
        self._egress(what, source, f"From {meaning}", ports, referenced_security_group_id=target.id)
        self._ingress(what, target, f"From {meaning}", ports, referenced_security_group_id=source.id)

    def _ingress(
        self,
        what: str,
        group: ec2.SecurityGroup,
        description: str,
        ports: Ports,
        **peer: pulumi.Input[str],
    ) -> None:
        vpc.SecurityGroupIngressRule(
            f"{self._name}-{what}-in",
            security_group_id=group.id,
            description=description,
            ip_protocol=ports.protocol,
            from_port=ports.first,
            to_port=ports.last,
            **peer,
            tags=self._args.tags,
            opts=self._child,
        )

    def _egress(
        self,
        what: str,
        group: ec2.SecurityGroup,
        description: str,
        ports: Ports,
        **peer: pulumi.Input[str],
    ) -> None:
        vpc.SecurityGroupEgressRule(
            f"{self._name}-{what}-out",
            security_group_id=group.id,
            description=description,
            ip_protocol=ports.protocol,
            from_port=ports.first,
            to_port=ports.last,
            **peer,
            tags=self._args.tags,
            opts=self._child,
        )
