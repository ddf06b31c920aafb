"""Signatures of short statements: ECDSA P-256 with SHA-256, over canonical JSON.

A PEM file holds the key on one machine; in the cloud a KMS key makes the same signature (ECDSA_SHA_256, DER).
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from model_code.errors import InputError, RunFailedError
from model_code.kms_key import KmsKey
from model_code.typed_json import parse

SigningKey = Path | KmsKey
"""Who signs: a private key's PEM file, or a key in KMS."""
MOST_BYTES = 1 << 20
"""Largest signed file; they have a few hundred bytes."""


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return JSON with one spelling: sorted keys, no spaces. What is hashed and signed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def signing_key(place: str) -> SigningKey:
    """Return the key that a command line names: a KMS key's ARN, or a folder whose key pair is made where missing.

    Raises:
        InputError: an ARN of something else.
    """
    return KmsKey(place) if place.startswith("arn:") else ensure_key_pair(Path(place))


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
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".signing.") as file:  # mode 600
            file.write(pem)
            file.flush()
            with suppress(FileExistsError):
                os.link(file.name, private)  # the first of two makers wins, the other takes the winner's
    pem = public_pem(private)
    if not public.exists() or public.read_bytes() != pem:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".signing.", delete=False) as file:
            file.write(pem)
        Path(file.name).chmod(0o644)
        Path(file.name).replace(public)  # a node that starts now must not read half of it
    return private


def public_pem(key: SigningKey) -> bytes:
    """Return the public half of a key, as PEM."""
    if isinstance(key, KmsKey):
        return key.public_pem
    return (
        _load_private(key)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def sign(value: Any, key: SigningKey) -> str:  # noqa: ANN401 - any JSON
    """Return the signature of a JSON value, base64 of DER."""
    message = canonical(value)
    if isinstance(key, KmsKey):
        return base64.b64encode(key.sign(message)).decode()
    return base64.b64encode(_load_private(key).sign(message, ec.ECDSA(hashes.SHA256()))).decode()


def verified(value: Any, signature: str, public: bytes) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether a signature is that key's over that JSON value."""
    key = serialization.load_pem_public_key(public)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InputError(
            "public key must be ECDSA P-256; give the signing.pub.pem that `skylift release` wrote"
        )
    try:
        key.verify(base64.b64decode(signature, validate=True), canonical(value), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):  # no base64 is no signature either
        return False
    return True


def signed_part(content: bytes, part: str, public: bytes, uri: str) -> dict[str, Any]:
    """Return what a signed file says, which is `{"algorithm", "signature", part}`.

    Args:
        content: the file's bytes.
        part: `pointer` or `statement`.
        public: PEM of the key that must have signed it.
        uri: where the file lies, for messages.

    Raises:
        RunFailedError: it is no such file, or not signed by that key.
    """
    try:
        if len(content) > MOST_BYTES:
            raise ValueError(f"{len(content)} bytes, more than {MOST_BYTES}")
        signed = parse(content)
    except ValueError as error:
        raise RunFailedError(f"{uri} is not JSON ({error}); publish the release again") from None
    value, signature = (
        (signed.get(key) for key in (part, "signature")) if isinstance(signed, dict) else (0, 0)
    )
    if (
        not isinstance(value, dict)
        or not isinstance(signature, str)
        or not verified(value, signature, public)
    ):
        raise RunFailedError(f"{uri} is not signed by this key; give the key that signed it (--key)")
    return value


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
