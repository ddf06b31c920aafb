"""Tokens of every kind that a load balancer may be shown, each with the status that it gets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import RSAKey

from infra.rehearsal.balancer.issuer import Issuer


def tokens(issuer: Issuer) -> dict[str, tuple[str, int]]:
    """Return tokens by what is wrong with them."""
    key, other, now = issuer._key, RSAKey.generate_key(2048), int(time.time())
    good: dict[str, Any] = {"iss": issuer.url, "sub": "x", "exp": now + 60}
    private = key.private_key
    assert isinstance(private, rsa.RSAPrivateKey)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def made(claims: dict[str, Any], *, by: RSAKey = key, kid: str | None = key.kid) -> str:
        return jwt.encode({"alg": "RS256", **({"kid": kid} if kid else {})}, claims, by)

    def strange(algorithm: str, sign: Callable[[bytes], bytes]) -> str:
        return by_hand({"alg": algorithm, "kid": key.kid, "typ": "JWT"}, good, sign)

    head, _, signature = issuer.token("x").split(".")
    return {
        "none": ("", 401),
        "good": (issuer.token("x"), 200),
        "least": (made(good), 200),
        "no token at all": ("nonsense", 401),
        "expired": (issuer.token("x", seconds=-1), 401),
        "never expires": (made({"iss": issuer.url}), 401),
        "expires in words": (made({**good, "exp": "tomorrow"}), 401),
        "not yet": (made({**good, "nbf": now + 60}), 401),
        "issued tomorrow": (made({**good, "iat": now + 86400}), 401),
        "another issuer": (made({**good, "iss": "https://other"}), 401),
        "issuer and more": (made({**good, "iss": issuer.url + "/x"}), 401),
        "no issuer": (made({"exp": now + 60}), 401),
        "another key": (made(good, by=other), 401),
        "unknown key": (made(good, by=other, kid="other"), 401),
        "no key named": (made(good, kid=None), 401),
        "not signed": (strange("none", lambda _: b""), 401),
        "signed by the public key": (
            strange("HS256", lambda text: hmac.new(public, text, hashlib.sha256).digest()),
            401,
        ),
        "another algorithm": (
            strange("RS512", lambda text: private.sign(text, PKCS1v15(), hashes.SHA512())),
            401,
        ),
        "another algorithm's name": (
            strange("RS512", lambda text: private.sign(text, PKCS1v15(), hashes.SHA256())),
            401,
        ),
        "no algorithm's name": (
            strange("", lambda text: private.sign(text, PKCS1v15(), hashes.SHA256())),
            401,
        ),
        "changed claims": (f"{head}.{made(good).split('.')[1]}.{signature}", 401),
        "cut off": (f"{head}.{made(good).split('.')[1]}", 401),
    }


def by_hand(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """Return a token that no library would make."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    head = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
    return f"{head}.{part(sign(head.encode()))}"
