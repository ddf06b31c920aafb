"""The load balancer's certificate: a given one, one that ACM issues for the domain, or a self-signed one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pulumi
import pulumi_aws.acm as acm
import pulumi_aws.lb as lb
import pulumi_aws.route53 as route53
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS = 3650
"""Of a self-signed certificate: nothing renews it, and a node must not fall silent one day."""


@dataclass(frozen=True)
class SelfSigned:
    """A certificate that vouches for itself."""

    body: str
    """The certificate, PEM. Clients trust it by name of this file alone."""
    private_key: str
    """Its key, PKCS 8 PEM without a password."""


def self_signed(host: str) -> SelfSigned:
    """Make a certificate for one host, with a new P-256 key.

    Args:
        host: DNS name that clients will use. It stands in the alternative names alone: a common name ends at 64
            characters, and a load balancer's name does not.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "skylift")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return SelfSigned(
        body=certificate.public_bytes(Encoding.PEM).decode(),
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )


def imported(
    name: str, balancer: lb.LoadBalancer, tags: Mapping[str, str], parent: pulumi.Resource
) -> acm.Certificate:
    """Import a self-signed certificate for the balancer's own DNS name.

    Every run of the program makes another one, and only the first is used: later ones are ignored, so that a run
    without a change is one. Another balancer has another name and gets its own.
    """
    made = balancer.dns_name.apply(self_signed)
    return acm.Certificate(
        f"{name}-certificate",
        certificate_body=made.apply(lambda one: one.body),
        private_key=pulumi.Output.secret(made.apply(lambda one: one.private_key)),  # type: ignore[arg-type]
        tags=tags,
        opts=pulumi.ResourceOptions(
            parent=parent,
            ignore_changes=["certificateBody", "privateKey"],
            replace_with=[balancer],
        ),
    )


def issued(
    name: str, domain: str, hosted_zone_id: str, tags: Mapping[str, str], parent: pulumi.Resource
) -> pulumi.Output[str]:
    """Let ACM issue a certificate for the domain, proven by a record in the hosted zone, and return its ARN.

    The ARN is the validation's: a listener that uses it waits until the certificate can be used.
    """
    child = pulumi.ResourceOptions(parent=parent)
    certificate = acm.Certificate(
        f"{name}-certificate",
        domain_name=domain,
        validation_method="DNS",
        key_algorithm="EC_prime256v1",
        tags=tags,
        opts=child,
    )
    proof = certificate.domain_validation_options[0]
    record = route53.Record(
        f"{name}-certificate-proof",
        zone_id=hosted_zone_id,
        name=proof.resource_record_name.apply(str),
        type=proof.resource_record_type.apply(str),
        records=[proof.resource_record_value.apply(str)],
        ttl=60,
        allow_overwrite=True,  # the proof of a domain is the same for every certificate of the account
        opts=child,
    )
    validation = acm.CertificateValidation(
        f"{name}-certificate-validation",
        certificate_arn=certificate.arn,
        validation_record_fqdns=[record.fqdn],
        opts=child,
    )
    return validation.certificate_arn


def alias(
    name: str, domain: str, hosted_zone_id: str, balancer: lb.LoadBalancer, parent: pulumi.Resource
) -> route53.Record:
    """Point the domain at the balancer."""
    return route53.Record(
        f"{name}-alias",
        zone_id=hosted_zone_id,
        name=domain,
        type="A",
        aliases=[
            {"name": balancer.dns_name, "zone_id": balancer.zone_id, "evaluate_target_health": True},
        ],
        opts=pulumi.ResourceOptions(parent=parent),
    )
