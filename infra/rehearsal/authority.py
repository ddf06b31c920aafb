"""The rehearsal's own certificate authority: nodes trust it beside the system's, so that what they call is HTTPS."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = timedelta(days=30)
"""Of all that is made here; a rehearsal that is kept runs for days at most."""


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A certificate with its key, as files that servers read."""

    certificate: Path
    """PEM; clients verify it with the authority's."""
    key: Path
    """PKCS 8 PEM without a password, readable by its owner alone."""


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A certificate authority that lives as long as this object; its certificates live on."""

    folder: Path
    """Where all files are."""
    ca: Path
    """Its own certificate, PEM."""
    key: ec.EllipticCurvePrivateKey
    """Its key, which is in no file."""

    @classmethod
    def make(cls, folder: Path) -> Authority:
        """Make one with a new P-256 key.

        Args:
            folder: for its certificate and those that it issues; made where it is not there.
        """
        folder.mkdir(parents=True, exist_ok=True)
        key, name = ec.generate_private_key(ec.SECP256R1()), _name("Skylift rehearsal")
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        made = (
            _begin(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)  # Python 3.13 refuses an authority that does not say so
            .sign(key, hashes.SHA256())
        )
        ca = folder / "ca.pem"
        ca.write_bytes(made.public_bytes(Encoding.PEM))
        return cls(folder=folder, ca=ca, key=key)

    def issue(self, *, names: Sequence[str] = (), addresses: Sequence[str] = ()) -> Issued:
        """Make a server's certificate.

        Args:
            names: DNS names that clients call it by; `*.` in front stands for one label.
            addresses: IP addresses that they call it by.

        Raises:
            ValueError: neither is given, or an address is none.
        """
        known = [
            *(x509.DNSName(name) for name in names),
            *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
        ]
        if not known:
            raise ValueError("names or addresses must name what the certificate is for, got none")
        key, authority = ec.generate_private_key(ec.SECP256R1()), self.key.public_key()
        made = (
            _begin(_name("Skylift rehearsal server"), _name("Skylift rehearsal"), key.public_key())
            .add_extension(x509.SubjectAlternativeName(known), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        stem = self.folder / secrets.token_hex(8)
        issued = Issued(certificate=stem.with_suffix(".pem"), key=stem.with_suffix(".key"))
        issued.certificate.write_bytes(made.public_bytes(Encoding.PEM))
        issued.key.touch(mode=0o600)
        issued.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return issued


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _begin(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
