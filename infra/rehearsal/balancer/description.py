"""What is to be balanced, as the ELBv2 API says it: the answer of the control `balancers` in types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.rehearsal.balancer.controls import weights_of

IDLE_SECONDS = "60"
"""Of a balancer that does not say."""


class DescriptionError(ValueError):
    """The API says something that the rehearsal's balancer cannot do."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One server of a group."""

    id: str
    """Instance id."""
    address: str
    """Private IP address."""
    port: int
    """TCP port."""
    draining: bool = False
    """Deregistered: gets nothing new and may finish what it has."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """How a target shows that it is well."""

    protocol: str
    """HTTP or HTTPS."""
    port: str
    """A number, or `traffic-port`."""
    path: str
    """What is asked for."""
    codes: str
    """HTTP statuses that are well: `200`, `200-299` or `200,202`."""
    interval: int
    """Seconds between two checks."""
    timeout: int
    """Seconds that an answer may take."""
    healthy: int
    """Successes in a row that make it healthy."""
    unhealthy: int
    """Failures in a row that make it unhealthy."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """A target group."""

    arn: str
    """Its ARN."""
    name: str
    """Its name: letters, digits, hyphens; once in a region."""
    protocol: str
    """HTTP or HTTPS, to the targets."""
    algorithm: str
    """As AWS calls it: `round_robin`, `least_outstanding_requests` or `weighted_random`."""
    delay_seconds: int
    """How long a deregistered target may finish its requests."""
    check: Check
    """Of its health."""
    targets: Sequence[Target] = ()
    """Who is in it now."""


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What a request's token must be."""

    issuer: str
    """Its claim `iss`."""
    jwks: str
    """HTTPS URL of the issuer's public keys."""


@dataclass(frozen=True, kw_only=True)
class Listener:
    """One port of a balancer."""

    arn: str
    """Its ARN."""
    port: int
    """TCP port."""
    policy: str
    """Name of the TLS policy."""
    certificates: Sequence[str]
    """Each with its key, PEM; the first is for clients that name no host."""
    tokens: Tokens | None
    """None: requests are not authenticated."""
    weights: Mapping[str, int]
    """ARN of a target group -> its share of the requests."""
    strict_transport: str = ""
    """Value of the header that browsers keep to HTTPS by; empty: none is sent."""
    server: bool = True
    """Whether answers may have the header `Server`."""


@dataclass(frozen=True, kw_only=True)
class Balancing:
    """A load balancer."""

    arn: str
    """Its ARN."""
    dns_name: str
    """Its name."""
    idle_seconds: int
    """Seconds without a byte before a connection is closed."""
    drop_invalid_headers: bool
    """Whether headers with other names than letters, digits and hyphens are left out."""
    listeners: Sequence[Listener] = ()
    """Its ports."""
    groups: Mapping[str, Group] = field(default_factory=dict)
    """Target groups by ARN."""


def described(answer: Mapping[str, Any]) -> Balancing:
    """Return one balancer of the control's answer.

    Raises:
        DescriptionError: it has a listener or an action that the rehearsal's balancer does not do.
    """
    attributes = answer["attributes"]
    return Balancing(
        arn=answer["arn"],
        dns_name=answer["dns_name"],
        idle_seconds=int(attributes.get("idle_timeout.timeout_seconds", IDLE_SECONDS)),
        drop_invalid_headers=attributes.get("routing.http.drop_invalid_header_fields.enabled") == "true",
        listeners=[_listener(one) for one in answer["listeners"]],
        groups={one["arn"]: _group(one) for one in answer["groups"]},
    )


def _listener(answer: Mapping[str, Any]) -> Listener:
    if answer["protocol"] != "HTTPS":
        raise DescriptionError(
            f"protocol of listener {answer['arn']} must be HTTPS, got `{answer['protocol']}`"
        )
    tokens, weights = None, {}
    for action in answer["actions"]:
        if action["Type"] == "jwt-validation":
            config = action["JwtValidationConfig"]
            if config.get("AdditionalClaims"):
                raise DescriptionError(
                    f"additional claims of listener {answer['arn']} must be none, got {config['AdditionalClaims']}: "
                    "the rehearsal's balancer checks iss, exp, nbf and iat alone"
                )
            tokens = Tokens(issuer=config["Issuer"], jwks=config["JwksEndpoint"])
        elif action["Type"] == "forward":
            weights = weights_of(action)
        else:
            raise DescriptionError(
                f"actions of listener {answer['arn']} must be jwt-validation and forward, got `{action['Type']}`"
            )
    attributes = answer["attributes"]
    return Listener(
        arn=answer["arn"],
        port=answer["port"],
        policy=answer["ssl_policy"],
        certificates=answer["certificates"],
        tokens=tokens,
        weights={arn: weight for arn, weight in weights.items() if weight > 0},
        strict_transport=attributes.get("routing.http.response.strict_transport_security.header_value", ""),
        server=attributes.get("routing.http.response.server.enabled", "true") == "true",
    )


def _group(answer: Mapping[str, Any]) -> Group:
    attributes = answer["attributes"]
    return Group(
        arn=answer["arn"],
        name=answer["name"],
        protocol=answer["protocol"],
        algorithm=attributes["load_balancing.algorithm.type"],
        delay_seconds=int(attributes["deregistration_delay.timeout_seconds"]),
        check=Check(**answer["check"]),
        targets=[Target(**one) for one in answer["targets"]],
    )
