"""The load balancer: TLS, strictness, logs, firewall."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .network import subnets_of, zones
from .resource import Resource, Stack, get
from .row import alone, among

BALANCER = "aws:lb/loadBalancer:LoadBalancer"
LISTENER = "aws:lb/listener:Listener"
TARGETS = "aws:lb/targetGroup:TargetGroup"
CERTIFICATE = "aws:acm/certificate:Certificate"
TLS = {
    "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
    "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
    "ELBSecurityPolicy-TLS13-1-3-PQ-2025-09",
    "ELBSecurityPolicy-TLS13-1-3-2021-06",
}
"""TLS 1.2 with forward secrecy or TLS 1.3 alone."""
LOGS = ("accessLogs", "connectionLogs", "healthCheckLogs")
GOOD_KEYS = {"RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"}
MANAGED = ("AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet")


@alone(
    48, "https-only", "No listener speaks HTTP, but for a redirect (ELB.1, CKV_AWS_2, CKV2_AWS_20)", LISTENER
)
def https_only(listener: Resource) -> Iterator[str]:
    redirects = [get(one, "redirect.protocol") == "HTTPS" for one in listener.items("defaultActions")]
    if listener.get("protocol") != "HTTPS" and not (redirects and all(redirects)):
        yield "answers without TLS; set protocol HTTPS"


@alone(49, "tls", "TLS 1.2 with forward secrecy, or 1.3 (ELB.17, ELB.18, CKV_AWS_103, CKV2_AWS_74)", LISTENER)
def tls(listener: Resource) -> Iterator[str]:
    if listener.get("protocol") == "HTTPS" and listener.get("sslPolicy") not in TLS:
        yield f"takes old ciphers; set ssl_policy to one of {', '.join(sorted(TLS))}"


@alone(50, "valid-headers", "Headers that are none are dropped (ELB.4, CKV_AWS_131)", BALANCER)
def valid_headers(balancer: Resource) -> Iterator[str]:
    if balancer.get("dropInvalidHeaderFields") is not True:
        yield "passes invalid headers on; set drop_invalid_header_fields"


@alone(
    51,
    "strictest",
    "Requests that two servers could read differently are refused (ELB.12, CKV_AWS_328)",
    BALANCER,
)
def strictest(balancer: Resource) -> Iterator[str]:
    if balancer.get("desyncMitigationMode") != "strictest":
        yield "passes ambiguous requests to an old Netty; set desync_mitigation_mode strictest"


@alone(52, "logs", "Requests, connections and health checks are logged (ELB.5, CKV_AWS_91)", BALANCER)
def logs(balancer: Resource) -> Iterator[str]:
    for kind in LOGS:
        if balancer.get(f"{kind}.enabled") is not True:
            yield f"has no {kind}; enable them"


@among(53, "stays", "Production guards its balancer against deletion (ELB.6, CKV_AWS_150)", BALANCER)
def stays(balancer: Resource, stack: Stack) -> Iterator[str]:
    if stack.kept and balancer.get("enableDeletionProtection") is not True:
        yield "may be deleted by a call; set enable_deletion_protection"


@among(54, "two-zones", "The balancer stands in 2 zones (ELB.13)", BALANCER)
def two_zones(balancer: Resource, stack: Stack) -> Iterator[str]:
    if len(zones(subnets_of(balancer, stack))) < 2:
        yield "stands in one zone; give it subnets in two"


@among(
    55,
    "firewall",
    "A public balancer has a firewall that logs (ELB.16, WAF.10-12, CKV2_AWS_28, 31, 76)",
    BALANCER,
)
def firewall(balancer: Resource, stack: Stack) -> Iterator[str]:
    if balancer.get("internal") is True:
        return
    associations = stack.referring(balancer, "aws:wafv2/webAclAssociation:WebAclAssociation", "resourceArn")
    walls = [wall for one in associations for wall in stack.referred(one, "webAclArn")]
    if not walls:
        yield "is public without a firewall; set `waf` (pulumi config set waf true)"
    for wall in walls:
        rules = [get(rule, "statement") or {} for rule in wall.items("rules")]
        groups = {get(one, "managedRuleGroupStatement.name") for one in rules}
        missing = [group for group in MANAGED if group not in groups]
        if missing or not any(get(one, "rateBasedStatement.limit") for one in rules):
            yield f"has a firewall without {', '.join(missing) or 'a limit of requests'}; add the rule"
        kind = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
        if not stack.referring(wall, kind, "resourceArn"):
            yield "has a firewall that does not say what it refused; add its logging configuration"


@alone(56, "https-to-nodes", "The balancer speaks TLS to the nodes (ELB.21, ELB.22, CKV_AWS_378)", TARGETS)
def https_to_nodes(targets: Resource) -> Iterator[str]:
    for what, protocol in (
        ("requests", targets.get("protocol")),
        ("checks", _check(targets).get("protocol")),
    ):
        if protocol != "HTTPS":
            yield f"sends {what} without TLS; set protocol HTTPS"


@alone(57, "true-health", "The health check asks a node to prove itself (CKV_AWS_261)", TARGETS)
def true_health(targets: Resource) -> Iterator[str]:
    check = _check(targets)
    if check.get("path") != "/ready" or str(check.get("matcher")) != "200":
        yield "asks something else than `/ready` for 200, and TorchServe's own ping knows no model; change it"


@alone(
    58,
    "certificate",
    "A certificate for one name, with a strong key (ACM.1, ACM.2, CKV_AWS_233, 234)",
    CERTIFICATE,
)
def certificate(one: Resource) -> Iterator[str]:
    names = [one.get("domainName"), *(one.get("subjectAlternativeNames") or [])]
    if any(str(name).startswith("*") for name in names):
        yield "is for every name of a domain; name the one that serves"
    if one.has("domainName") and one.get("keyAlgorithm") not in GOOD_KEYS:
        yield f"has a weak key; set key_algorithm to one of {', '.join(sorted(GOOD_KEYS))}"


def _check(targets: Resource) -> Mapping[str, Any]:
    found: Mapping[str, Any] = targets.get("healthCheck") or {}
    return found
