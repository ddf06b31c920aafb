"""The one way in: HTTPS to an application load balancer, HTTPS on to the nodes that say they are ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws.lb as lb

from infra import certificate
from infra.waf import WafArgs, firewall

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
"""TLS 1.3 and 1.2 with forward secrecy, and a key exchange that a later quantum computer does not open."""
NODE_PORT = 8443
"""HAProxy's port on a serving node."""
LONGEST_DEREGISTRATION = 90
"""Seconds. A spot node is gone two minutes after its notice."""


@dataclass(frozen=True, kw_only=True)
class LoadBalancerArgs:
    """What a load balancer needs."""

    vpc_id: pulumi.Input[str]
    """The network of the nodes."""
    subnet_ids: Sequence[pulumi.Input[str]]
    """Two or more, in different zones: public ones for a public balancer, else private ones."""
    security_group_id: pulumi.Input[str]
    """Lets 443 in and 8443 out."""
    public: bool = False
    """Whether it has an address on the internet. False: reached from within the network alone."""
    certificate_arn: str = ""
    """A certificate in ACM, in this region. Empty: one is issued for `domain`, or a self-signed one is imported."""
    domain: str = ""
    """DNS name of the service, as `models.example.com`. Empty: the balancer's own name."""
    hosted_zone_id: str = ""
    """Route 53 zone that holds `domain`; its records are written there. Empty: they are the operator's."""
    jwt_issuer: str = ""
    """Whose tokens are taken (claim `iss`). Empty: requests are not authenticated."""
    jwt_jwks_uri: str = ""
    """HTTPS address of the issuer's public keys, RS256; needed with `jwt_issuer`."""
    waf: bool = False
    """Whether a web application firewall stands before it."""
    waf_requests_per_5_minutes: int = 10_000
    """Requests of one address in 5 minutes before it is blocked: 10 to 2,000,000,000."""
    logs_bucket: pulumi.Input[str]
    """Name of the bucket for its logs (SSE-S3: it writes to no other)."""
    deletion_protection: bool = True
    """Whether AWS refuses to delete it."""
    idle_seconds: int = 150
    """Seconds without a byte before a connection is closed, 1 to 4000: above the longest answer."""
    deregistration_seconds: int = 60
    """Seconds that a leaving node may finish its requests, 0 to 90."""
    log_retention_days: int = 365
    """Days that the firewall's log is kept."""
    kms_key_arn: pulumi.Input[str]
    """Encrypts the firewall's log."""
    tags: Mapping[str, str]
    """Put on all that can have them."""

    def __post_init__(self) -> None:
        """Refuse what AWS would, or what would leave a hole."""
        if not 0 <= self.deregistration_seconds <= LONGEST_DEREGISTRATION:
            raise ValueError(
                f"deregistration_seconds must be 0 to {LONGEST_DEREGISTRATION} s, got "
                f"`{self.deregistration_seconds}`; a spot node is gone two minutes after its notice"
            )
        if bool(self.jwt_issuer) != bool(self.jwt_jwks_uri):
            missing = "jwt_jwks_uri" if self.jwt_issuer else "jwt_issuer"
            raise ValueError(
                f"{missing} must be given with the other setting of JWT, got ``; set both or neither"
            )
        if self.domain and not (self.certificate_arn or self.hosted_zone_id):
            raise ValueError(
                f"hosted_zone_id must be given for domain `{self.domain}`, got ``; its certificate is proven "
                "there; or give certificate_arn"
            )


class LoadBalancer(pulumi.ComponentResource):
    """HTTPS on 443 and nothing else; nodes are asked for `/ready`."""

    url: pulumi.Output[str]
    """Where clients go, as `https://models.example.com`."""
    dns_name: pulumi.Output[str]
    """The balancer's own name."""
    arn: pulumi.Output[str]
    """Its ARN."""
    arn_suffix: pulumi.Output[str]
    """What metrics call it."""
    target_group_arn: pulumi.Output[str]
    """Where serving nodes register."""
    target_group_arn_suffix: pulumi.Output[str]
    """What metrics call the target group."""

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("skylift:index:LoadBalancer", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        balancer = lb.LoadBalancer(
            f"{name}-alb",
            load_balancer_type="application",
            internal=not args.public,
            subnets=args.subnet_ids,
            security_groups=[args.security_group_id],
            desync_mitigation_mode="strictest",
            drop_invalid_header_fields=True,
            enable_deletion_protection=args.deletion_protection,
            idle_timeout=args.idle_seconds,
            access_logs={"bucket": args.logs_bucket, "prefix": "access", "enabled": True},
            connection_logs={"bucket": args.logs_bucket, "prefix": "connections", "enabled": True},
            health_check_logs={"bucket": args.logs_bucket, "prefix": "health-checks", "enabled": True},
            tags=args.tags,
            # A target group belongs to one balancer: the next one cannot have it while this one is there.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        target_group = lb.TargetGroup(
            f"{name}-nodes",
            vpc_id=args.vpc_id,
            target_type="instance",
            port=NODE_PORT,
            protocol="HTTPS",
            load_balancing_algorithm_type="least_outstanding_requests",
            deregistration_delay=args.deregistration_seconds,
            stickiness={"type": "lb_cookie", "enabled": False},
            health_check={
                "enabled": True,
                "protocol": "HTTPS",
                "path": "/ready",
                "matcher": "200",
                "interval": 10,
                "timeout": 5,
                "healthy_threshold": 2,
                "unhealthy_threshold": 3,
            },
            tags=args.tags,
            opts=child,
        )
        lb.Listener(
            f"{name}-https",
            load_balancer_arn=balancer.arn,
            port=443,
            protocol="HTTPS",
            ssl_policy=TLS_POLICY,
            certificate_arn=self._certificate(name, args, balancer),
            default_actions=actions(args, target_group.arn),
            routing_http_response_server_enabled=False,
            routing_http_response_strict_transport_security_header_value="max-age=31536000",
            tags=args.tags,
            opts=child,
        )
        if args.domain and args.hosted_zone_id:
            certificate.alias(name, args.domain, args.hosted_zone_id, balancer, self)
        if args.waf:
            guard = WafArgs(
                load_balancer_arn=balancer.arn,
                requests_per_5_minutes=args.waf_requests_per_5_minutes,
                log_retention_days=args.log_retention_days,
                kms_key_arn=args.kms_key_arn,
                tags=args.tags,
            )
            firewall(name, guard, self)
        self.url = pulumi.Output.concat("https://", args.domain or balancer.dns_name)
        self.dns_name = balancer.dns_name
        self.arn = balancer.arn
        self.arn_suffix = balancer.arn_suffix
        self.target_group_arn = target_group.arn
        self.target_group_arn_suffix = target_group.arn_suffix
        self.register_outputs({"url": self.url, "targetGroupArn": self.target_group_arn})

    def _certificate(self, name: str, args: LoadBalancerArgs, balancer: lb.LoadBalancer) -> pulumi.Input[str]:
        if args.certificate_arn:
            return args.certificate_arn
        if args.domain:
            return certificate.issued(name, args.domain, args.hosted_zone_id, args.tags, self)
        return certificate.imported(name, balancer, args.tags, self).arn


def actions(
    args: LoadBalancerArgs, target_group_arn: pulumi.Input[str]
) -> list[lb.ListenerDefaultActionArgsDict]:
    """Return what the listener does with a request: check its token where an issuer is set, then pass it on."""
    if not args.jwt_issuer:
        return [{"type": "forward", "order": 1, "target_group_arn": target_group_arn}]
    return [
        {
            "type": "jwt-validation",
            "order": 1,
            "jwt_validation": {"issuer": args.jwt_issuer, "jwks_endpoint": args.jwt_jwks_uri},
        },
        {"type": "forward", "order": 2, "target_group_arn": target_group_arn},
    ]
