"""A signing key that never leaves AWS: ECDSA P-256 in KMS, named by its ARN.

KMS signs up to 4,096 bytes as they are (RAW): what is signed here has a few hundred.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from model_code.errors import InputError, RunFailedError

ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+")
ALGORITHM = "ECDSA_SHA_256"
MOST_BYTES = 4096
"""What KMS signs without a digest made first."""


@dataclass(frozen=True)
class KmsKey:
    """A key in KMS."""

    arn: str
    """`arn:aws:kms:REGION:ACCOUNT:key/ID`; its region is where it is asked."""

    def __post_init__(self) -> None:
        """Refuse what is no key's ARN."""
        if not ARN.fullmatch(self.arn):
            raise InputError(
                f"--key must be arn:aws:kms:REGION:ACCOUNT:key/ID, got `{self.arn}`; an alias is not pinned to a key"
            )

    @cached_property
    def public_pem(self) -> bytes:
        """The public half, as PEM; asked for once.

        Raises:
            RunFailedError: KMS does not say it.
            InputError: the key is of another kind.
        """
        answer = self._asked("get_public_key", "kms:GetPublicKey")
        key = serialization.load_der_public_key(answer["PublicKey"])
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise InputError(
                f"signing key must be ECC_NIST_P256 (SIGN_VERIFY), `{self.arn}` is of another kind; name another"
            )
        return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of some bytes, DER.

        Raises:
            RunFailedError: KMS does not sign.
        """
        if len(message) > MOST_BYTES:
            raise RunFailedError(
                f"a signed statement must be at most {MOST_BYTES} bytes, got {len(message)}; KMS takes no more"
            )
        answer = self._asked(
            "sign", "kms:Sign", Message=message, MessageType="RAW", SigningAlgorithm=ALGORITHM
        )
        signature: bytes = answer["Signature"]
        return signature

    def _asked(self, operation: str, permission: str, **words: object) -> dict[str, Any]:
        # Who signs with a file does without it: it takes a third of a second.
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        retries = Config(retries={"mode": "standard", "total_max_attempts": 8})
        client = boto3.client("kms", region_name=self.arn.split(":")[3], config=retries)
        try:
            answer: dict[str, Any] = getattr(client, operation)(KeyId=self.arn, **words)
        except (ClientError, BotoCoreError) as error:
            raise RunFailedError(
                f"signing key `{self.arn}` cannot be used: {error}; the key must be enabled and the role allowed "
                f"{permission}"
            ) from None
        return answer
