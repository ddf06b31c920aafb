"""HAProxy's configuration for one application load balancer. Pure: what ELBv2 says in, text out.

Each target group is two backends: one whose targets are checked, and one that all requests go to while none of the
first is healthy, since a balancer whose targets are all unhealthy fails open. Targets are put into both, and taken
out, while HAProxy runs; here stand those that a new configuration finds there already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.rehearsal.balancer.description import Balancing, DescriptionError, Group, Listener, Tokens

OPEN = "-open"
"""Ends the name of a group's backend without checks."""
NOBODY = "nobody"
"""Backend of requests that no target is there for."""
CONNECT_SECONDS = 10
"""How long an application load balancer tries to connect to a target."""
PAGES = {
    400: "Bad Request",
    401: "Authorization Required",
    408: "Request Time-out",
    413: "Request Entity Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}
"""What the balancer says itself."""
ALGORITHMS = {
    "round_robin": "roundrobin",
    "least_outstanding_requests": "leastconn",
    "weighted_random": "random",
}
CIPHERS = {True: "ECDHE+AESGCM", False: "ECDHE+AESGCM:ECDHE+AES+SHA256:ECDHE+AES+SHA384"}
"""For TLS 1.2, by whether the policy is a restricted one (`Res`)."""
REQUEST_LOG = (
    "request %ST %[var(txn.answered)] %Tr %b %s %[var(txn.stranger)]"  # read by balancer_metrics.read
)


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where HAProxy finds what its configuration names."""

    run: Path
    """Folder of its sockets and files; short, as paths of sockets must be."""
    address: str
    """IP address that it listens on."""
    certificates: Mapping[str, Sequence[Path]]
    """ARN of a listener -> its certificates with keys."""
    keys: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    """URL of an issuer's key set -> key id -> public key, PEM."""


def render(balancing: Balancing, files: Files) -> str:
    """Return the configuration.

    Raises:
        DescriptionError: the balancer does not know a TLS policy or an algorithm, or a text has a quote in it.
    """
    lines = [
        *_settings(balancing, files),
        *(
            line
            for at, one in enumerate(balancing.listeners)
            for line in _frontend(one, balancing, files, at)
        ),
        f"backend {NOBODY}",
        *(line for one in balancing.groups.values() for line in _backends(one, files)),
    ]
    return "\n".join(lines) + "\n"


def page(status: int) -> str:
    """Return the page of an answer that the balancer gives itself."""
    title = f"{status} {PAGES[status]}"
    return f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"


def refused() -> str:
    """Return the whole answer where no target could be connected to: 502, which HAProxy calls 503."""
    body = page(502)
    return (
        f"HTTP/1.1 502 {PAGES[502]}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )


def server(group: Group) -> str:
    """Return the words of a target without checks, after its address."""
    return "ssl verify none alpn http/1.1" if group.protocol == "HTTPS" else ""


def checked(group: Group) -> str:
    """Return the words of a target with checks, after its address."""
    check = group.check
    words = f"{server(group)} check inter {check.interval}s rise {check.healthy} fall {check.unhealthy}"
    return words.strip()


def _settings(balancing: Balancing, files: Files) -> list[str]:
    names = "delete" if balancing.drop_invalid_headers else "preserve"
    idle = balancing.idle_seconds
    return [
        f"# {balancing.dns_name}",
        "global",
        "    nbthread 1",
        "    maxconn 2000",
        f"    hard-stop-after {idle}s",
        f"    stats socket unix@{files.run}/admin.sock mode 600 level admin expose-fd listeners",
        f"    server-state-file {files.run}/states",
        "    log stdout format raw local0 info",
        "defaults",
        "    mode http",
        "    log global",
        "    option dontlognull",
        f"    option http-restrict-req-hdr-names {names}",
        "    option forwardfor",
        "    # A kept connection takes one more request from a client that has not seen the reload.",
        "    option idle-close-on-response",
        "    # A connection that cannot be made is tried once more, on another target; what was sent never is.",
        "    retries 1",
        "    option redispatch 1",
        f"    timeout connect {CONNECT_SECONDS}s",
        *(f"    timeout {what} {idle}s" for what in ("client", "server", "http-request", "http-keep-alive")),
        "    load-server-state-from-file global",
        *(
            f"    http-error status {status} content-type text/html string '{page(status)}'"
            + (" hdr www-authenticate Bearer" if status == 401 else "")
            for status in PAGES
        ),
    ]


def _frontend(listener: Listener, balancing: Balancing, files: Files, at: int) -> list[str]:
    tls = _tls(listener, files)
    door = [f"    bind unix@{files.run}/door.sock mode 600 {tls}"] if at == 0 else []
    strict = _quoted(listener.strict_transport.replace("%", "%%"))
    kept = [f"    http-after-response set-header strict-transport-security {strict}"]
    return [
        f"frontend port-{listener.port}",
        f"    bind {files.address}:{listener.port} {tls}",
        *door,
        f'    log-format "{REQUEST_LOG}"',
        *(_tokens(listener.tokens, files) if listener.tokens else []),
        "    http-request set-header x-forwarded-proto https",
        f"    http-request set-header x-forwarded-port {listener.port}",
        "    http-response set-var(txn.answered) bool(true)",
        *(kept if listener.strict_transport else []),
        "    http-after-response set-header server awselb/2.0 unless { res.hdr(server) -m found }"
        if listener.server
        else "    http-after-response del-header server",
        *_forward(listener, balancing),
        f"    default_backend {NOBODY}",
    ]


def _tls(listener: Listener, files: Files) -> str:
    known = re.fullmatch(r"ELBSecurityPolicy-TLS13-1-([23])(-Res)?(-FIPS)?(-PQ)?-[\d-]+", listener.policy)
    if known is None:
        raise DescriptionError(
            f"TLS policy of listener {listener.arn} must be one of ELBSecurityPolicy-TLS13-1-2 or 1-3, "
            f"got `{listener.policy}`"
        )
    certificates = " ".join(f"crt {path}" for path in files.certificates[listener.arn])
    return (
        f"ssl {certificates} alpn h2,http/1.1 ssl-min-ver TLSv1.{known[1]} ciphers {CIPHERS[bool(known[2])]}"
    )


def _tokens(tokens: Tokens, files: Files) -> list[str]:
    """Return the check of a token: RS256 by a key of the issuer, its claims iss and exp, nbf and iat if it has them."""
    token, issuer = "http_auth_bearer", _quoted(tokens.issuer)
    refuse = "    http-request deny deny_status 401"
    claims = ("exp", "nbf", "iat")
    return [
        "    http-request set-var(txn.now) date()",
        f"    http-request set-var(txn.kid) {token},jwt_header_query('$.kid')",
        *(
            f"    http-request set-var(txn.{one}) {token},jwt_payload_query('$.{one}','int')"
            for one in claims
        ),
        *(
            f"    http-request set-var(txn.signed) {token},jwt_verify(RS256,{path}) "
            f"if {{ var(txn.kid) -m str -- {_quoted(kid)} }}"
            for kid, path in files.keys.get(tokens.jwks, {}).items()
        ),
        "    http-request set-var(txn.stranger) bool(true) if { var(txn.kid) -m found } !{ var(txn.signed) -m found }",
        f"{refuse} unless {{ {token},jwt_header_query('$.alg') -m str RS256 }}",
        f"{refuse} unless {{ var(txn.signed) -m int 1 }}",
        f"{refuse} unless {{ {token},jwt_payload_query('$.iss') -m str -- {issuer} }}",
        f"{refuse} unless {{ var(txn.exp),sub(txn.now) -m int gt 0 }}",
        *(f"{refuse} if {{ var(txn.{one}),sub(txn.now) -m int gt 0 }}" for one in claims[1:]),
    ]


def _forward(listener: Listener, balancing: Balancing) -> list[str]:
    groups = {arn: weight for arn, weight in listener.weights.items() if arn in balancing.groups}
    if not groups:
        return []
    lines, below = [], 0
    total = sum(groups.values())
    for arn, weight in groups.items():
        name, below = balancing.groups[arn].name, below + weight
        share = f"{{ var(txn.share) -m int lt {below} }} " if len(groups) > 1 else ""
        lines += [
            f"    use_backend {name} if {share}{{ nbsrv({name}) gt 0 }}",
            # A worker that was replaced finishes what it has, and takes no server for usable any more.
            f"    use_backend {name} if {share}{{ stopping }}",
            f"    use_backend {name}{OPEN} if {share}{{ nbsrv({name}{OPEN}) gt 0 }}",
            *([f"    use_backend {NOBODY} if {share.strip()}"] if share else []),
        ]
    return [*([f"    http-request set-var(txn.share) rand({total})"] if len(groups) > 1 else []), *lines]


def _backends(group: Group, files: Files) -> list[str]:
    if group.algorithm not in ALGORITHMS:
        raise DescriptionError(
            f"algorithm of target group {group.name} must be one of {', '.join(ALGORITHMS)}, "
            f"got `{group.algorithm}`"
        )
    check = group.check
    port = "" if check.port == "traffic-port" else f" port {check.port}"
    tls = " ssl alpn http/1.1" if check.protocol == "HTTPS" else ""
    both = [
        f"    balance {ALGORITHMS[group.algorithm]}",
        f"    errorfile 503 {files.run}/502.http",
    ]
    return [
        f"backend {group.name}",
        *both,
        "    option httpchk",
        f"    timeout check {check.timeout}s",
        f"    http-check connect{port}{tls}",
        f"    http-check send meth GET uri {_quoted(check.path)} ver HTTP/1.1 hdr host target "
        "hdr user-agent ELB-HealthChecker/2.0",
        f"    http-check expect status {check.codes}",
        *(f"    server {one.id} {one.address}:{one.port} {checked(group)}" for one in group.targets),
        f"backend {group.name}{OPEN}",
        *both,
        *(f"    server {one.id} {one.address}:{one.port} {server(group)}".rstrip() for one in group.targets),
    ]


def _quoted(text: str) -> str:
    if "'" in text or not text.isprintable():
        raise DescriptionError(f"text for HAProxy must be printable and without quotes, got {text!r}")
    return f"'{text}'"
