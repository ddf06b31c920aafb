"""Signatures of short statements: ECDSA P-256 with SHA-256, over canonical JSON.

A PEM file holds the key on one machine; in the cloud a KMS key makes the same signature (ECDSA_SHA_256, DER).
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from model_code.errors import InputError

ALGORITHM = "ECDSA_SHA_256"
"""KMS's name for it."""


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return JSON with one spelling: sorted keys, no spaces. What is hashed and signed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def ensure_key_pair(folder: Path) -> Path:
    """Return the private key's path in `folder`; make the pair where there is none.

    `signing.pem` (mode 600) is the private key, `signing.pub.pem` what verifiers need.
    """
    private, public = folder / "signing.pem", folder / "signing.pub.pem"
    if not private.exists():
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        partial = folder / f".signing.{os.getpid()}.part"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        try:
            os.link(partial, private)  # the first of two makers wins, the other takes the winner's
        except FileExistsError:
            pass
        finally:
            partial.unlink()
    public.write_bytes(public_pem(private))
    return private


def public_pem(private: Path) -> bytes:
    """Return the public half of a private key's PEM file."""
    return (
        _load_private(private)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def sign(value: Any, private: Path) -> str:  # noqa: ANN401 - any JSON
    """Return the signature of a JSON value, base64 of DER."""
    return base64.b64encode(_load_private(private).sign(canonical(value), ec.ECDSA(hashes.SHA256()))).decode()


def verified(value: Any, signature: str, public: bytes) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether a signature is that key's over that JSON value."""
    key = serialization.load_pem_public_key(public)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InputError(
            "public key must be ECDSA P-256; give the signing.pub.pem that `skylift release` wrote"
        )
    try:
        key.verify(base64.b64decode(signature), canonical(value), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _load_private(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (FileNotFoundError, ValueError) as error:
        raise InputError(
            f"signing key must be a PEM file, `{path}` is not ({error}); give --key PATH"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise InputError(f"signing key must be ECDSA P-256, `{path}` is not; remove it to have one made")
    return key
