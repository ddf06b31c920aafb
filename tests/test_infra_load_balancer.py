"""The load balancer: exact registrations, with a domain, with tokens, and with neither."""

from __future__ import annotations

from typing import Any

import pytest

from infra.load_balancer import LoadBalancer, LoadBalancerArgs
from tests.mocks import Registered, only, record

TAGS = {"Stack": "dev"}
NEEDED: dict[str, Any] = {
    "vpc_id": "vpc-1",
    "subnet_ids": ["subnet-1", "subnet-2"],
    "security_group_id": "sg-1",
    "logs_bucket": "logs",
    "kms_key_arn": "key",
    "tags": TAGS,
}
TARGETS = "arn:aws:lb:eu-central-1:123456789012:edge-nodes"


def made(**more: Any) -> list[Registered]:
    return record(lambda: LoadBalancer("edge", LoadBalancerArgs(**NEEDED, **more)))


def test_without_settings_it_is_internal_https_only_with_a_certificate_of_its_own() -> None:
    registered = made()
    assert sorted((one.type, one.name, one.parent) for one in registered) == [
        ("aws:acm/certificate:Certificate", "edge-certificate", "edge"),
        ("aws:lb/listener:Listener", "edge-https", "edge"),
        ("aws:lb/loadBalancer:LoadBalancer", "edge-alb", "edge"),
        ("aws:lb/targetGroup:TargetGroup", "edge-nodes", "edge"),
        ("skylift:index:LoadBalancer", "edge", "skylift-dev"),
    ]
    assert only(registered, "aws:lb/loadBalancer:LoadBalancer").inputs == {
        "loadBalancerType": "application",
        "internal": True,
        "subnets": ["subnet-1", "subnet-2"],
        "securityGroups": ["sg-1"],
        "desyncMitigationMode": "strictest",
        "dropInvalidHeaderFields": True,
        "enableDeletionProtection": True,
        "idleTimeout": 150,
        "accessLogs": {"bucket": "logs", "prefix": "access", "enabled": True},
        "connectionLogs": {"bucket": "logs", "prefix": "connections", "enabled": True},
        "healthCheckLogs": {"bucket": "logs", "prefix": "health-checks", "enabled": True},
        "tags": TAGS,
    }
    assert only(registered, "aws:lb/listener:Listener").inputs == {
        "loadBalancerArn": "arn:aws:lb:eu-central-1:123456789012:edge-alb",
        "port": 443,
        "protocol": "HTTPS",
        "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
        "certificateArn": "arn:aws:acm:eu-central-1:123456789012:edge-certificate",
        "defaultActions": [{"type": "forward", "order": 1, "targetGroupArn": TARGETS}],
        "routingHttpResponseServerEnabled": False,
        "routingHttpResponseStrictTransportSecurityHeaderValue": "max-age=31536000",
        "tags": TAGS,
    }
    assert only(registered, "skylift:index:LoadBalancer").outputs == {
        "url": "https://edge-alb.elb.amazonaws.com",
        "targetGroupArn": TARGETS,
    }


def test_another_balancer_comes_after_this_one_is_gone() -> None:
    """AWS refuses a target group on two balancers, and a public balancer is another one than an internal one."""
    options = only(made(), "aws:lb/loadBalancer:LoadBalancer").options
    assert (options["deleteBeforeReplace"], options["deleteBeforeReplaceDefined"]) == (True, True)


def test_nodes_are_asked_by_https_whether_they_are_ready() -> None:
    assert only(made(deregistration_seconds=90), "aws:lb/targetGroup:TargetGroup").inputs == {
        "vpcId": "vpc-1",
        "targetType": "instance",
        "port": 8443,
        "protocol": "HTTPS",
        "loadBalancingAlgorithmType": "least_outstanding_requests",
        "deregistrationDelay": 90,
        "stickiness": {"type": "lb_cookie", "enabled": False},
        "healthCheck": {
            "enabled": True,
            "protocol": "HTTPS",
            "path": "/ready",
            "matcher": "200",
            "interval": 10,
            "timeout": 5,
            "healthyThreshold": 2,
            "unhealthyThreshold": 3,
        },
        "tags": TAGS,
    }


def test_tokens_are_checked_before_a_request_is_passed_on() -> None:
    registered = made(jwt_issuer="https://issuer.example", jwt_jwks_uri="https://issuer.example/keys")
    assert only(registered, "aws:lb/listener:Listener").inputs["defaultActions"] == [
        {
            "type": "jwt-validation",
            "order": 1,
            "jwtValidation": {
                "issuer": "https://issuer.example",
                "jwksEndpoint": "https://issuer.example/keys",
            },
        },
        {"type": "forward", "order": 2, "targetGroupArn": TARGETS},
    ]


def test_public_and_unprotected_are_said_in_words() -> None:
    balancer = only(
        made(public=True, deletion_protection=False, idle_seconds=61), "aws:lb/loadBalancer:LoadBalancer"
    )
    kept = ("internal", "enableDeletionProtection", "idleTimeout")
    assert {key: balancer.inputs[key] for key in kept} == {
        "internal": False,
        "enableDeletionProtection": False,
        "idleTimeout": 61,
    }


def test_a_given_certificate_is_used_as_it_is() -> None:
    registered = made(
        certificate_arn="arn:aws:acm:eu-central-1:123456789012:certificate/1", domain="m.example"
    )
    assert len(registered) == 4
    listener = only(registered, "aws:lb/listener:Listener")
    assert listener.inputs["certificateArn"] == "arn:aws:acm:eu-central-1:123456789012:certificate/1"
    assert only(registered, "skylift:index:LoadBalancer").outputs["url"] == "https://m.example"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"deregistration_seconds": 91},
            "deregistration_seconds must be 0 to 90 s, got `91`; a spot node is gone two minutes after its notice",
        ),
        (
            {"jwt_issuer": "https://issuer.example"},
            "jwt_jwks_uri must be given with the other setting of JWT, got ``; set both or neither",
        ),
        (
            {"jwt_jwks_uri": "https://issuer.example/keys"},
            "jwt_issuer must be given with the other setting of JWT, got ``; set both or neither",
        ),
        (
            {"domain": "m.example"},
            "hosted_zone_id must be given for domain `m.example`, got ``; its certificate is proven there; "
            "or give certificate_arn",
        ),
    ],
)
def test_what_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="must be") as refused:
        LoadBalancerArgs(**NEEDED, **wrong)
    assert str(refused.value) == message
