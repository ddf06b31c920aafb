"""Certificates: what is imported, what ACM is asked for, and that a client can trust the self-signed one by name."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from infra.certificate import VALID_DAYS, self_signed
from infra.load_balancer import LoadBalancer, LoadBalancerArgs
from tests.mocks import Registered, of_type, only, record
from tests.test_infra_load_balancer import NEEDED, TAGS

HOST = "internal-load-balancer-alb-0123456-1234567890123456789.eu-central-1.elb.amazonaws.com"
"""Longer than the 64 characters of a common name."""


def made(preview: bool = False, **more: Any) -> list[Registered]:
    return record(lambda: LoadBalancer("edge", LoadBalancerArgs(**NEEDED, **more)), preview=preview)


def test_a_self_signed_certificate_is_for_one_host_and_no_authority() -> None:
    certificate = x509.load_pem_x509_certificate(self_signed(HOST).body.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [HOST]
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert (certificate.not_valid_after_utc - datetime.now(UTC)).days in (VALID_DAYS - 1, VALID_DAYS)


@pytest.mark.parametrize("asked", [HOST, "other.eu-central-1.elb.amazonaws.com"])
def test_a_client_that_trusts_the_file_reaches_that_host_and_no_other(tmp_path: Path, asked: str) -> None:
    pair = self_signed(HOST)
    (tmp_path / "both.pem").write_text(pair.body + pair.private_key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "both.pem")
    here, there = socket.socketpair()
    client = ssl.create_default_context(cadata=pair.body)

    def answer() -> None:
        try:
            server.wrap_socket(there, server_side=True).close()
        except (ssl.SSLError, ConnectionError):
            there.close()

    serving = threading.Thread(target=answer)
    serving.start()
    try:
        if asked == HOST:
            assert client.wrap_socket(here, server_hostname=asked).version() == "TLSv1.3"
        else:
            with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
                client.wrap_socket(here, server_hostname=asked)
    finally:
        here.close()
        serving.join()


def test_without_a_domain_one_is_imported_once_and_kept() -> None:
    certificate = only(made(), "aws:acm/certificate:Certificate")
    assert sorted(certificate.inputs) == ["certificateBody", "privateKey", "tags"]
    body = x509.load_pem_x509_certificate(certificate.inputs["certificateBody"].encode())
    names = body.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["edge-alb.elb.amazonaws.com"]
    assert certificate.options["ignoreChanges"] == ["certificateBody", "privateKey"]
    (replaced_with,) = certificate.options["replaceWith"]
    assert replaced_with.endswith("::edge-alb")
    assert certificate.options["additionalSecretOutputs"] == ["privateKey", "privateKeyWo"]


def test_a_domain_has_its_certificate_issued_and_points_at_the_balancer() -> None:
    registered = made(domain="models.example.com", hosted_zone_id="Z1")
    assert only(registered, "aws:acm/certificate:Certificate").inputs == {
        "domainName": "models.example.com",
        "validationMethod": "DNS",
        "keyAlgorithm": "EC_prime256v1",
        "tags": TAGS,
    }
    records = {one.name: one.inputs for one in of_type(registered, "aws:route53/record:Record")}
    assert records == {
        "edge-certificate-proof": {
            "zoneId": "Z1",
            "name": "_proof.example.com",
            "type": "CNAME",
            "records": ["_value.acm-validations.aws"],
            "ttl": 60,
            "allowOverwrite": True,
        },
        "edge-alias": {
            "zoneId": "Z1",
            "name": "models.example.com",
            "type": "A",
            "aliases": [
                {
                    "name": "edge-alb.elb.amazonaws.com",
                    "zoneId": "zone-edge-alb",
                    "evaluateTargetHealth": True,
                }
            ],
        },
    }
    validation = only(registered, "aws:acm/certificateValidation:CertificateValidation")
    assert validation.inputs == {
        "certificateArn": "arn:aws:acm:eu-central-1:123456789012:edge-certificate",
        "validationRecordFqdns": ["edge-certificate-proof.example.com"],
    }
    listener = only(registered, "aws:lb/listener:Listener")
    waits_for = listener.options["propertyDependencies"]["certificateArn"]["urns"]
    assert [urn.split("::")[-1] for urn in waits_for] == ["edge-certificate-validation"]


@pytest.mark.parametrize("more", [{}, {"domain": "models.example.com", "hosted_zone_id": "Z1"}])
def test_a_preview_shows_the_same_resources(more: dict[str, Any]) -> None:
    assert {one.name for one in made(preview=True, **more)} == {one.name for one in made(**more)}
