"""Releases beside the one that the run published: another good one, one with a wrong golden answer, one badly signed.

It writes what `model_code/release.py` writes, as somebody with the operator's rights could.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from infra.rehearsal.provider.properties import Value

ALGORITHM = "ECDSA_SHA_256"
Signer = Callable[[bytes], bytes]
NO_FILES = ("manifest.json", "manifest.sig")


def canonical(value: object) -> bytes:
    """Return JSON with one spelling: what is hashed and signed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def stranger() -> Signer:
    """Return somebody else's signature."""
    key = ec.generate_private_key(ec.SECP256R1())
    return lambda message: key.sign(message, ec.ECDSA(hashes.SHA256()))


@dataclass(frozen=True, kw_only=True)
class Forge:
    """One model's releases."""

    s3: Value
    """The operator's client."""
    kms: Value
    """The operator's client."""
    bucket: str
    """Of the models."""
    name: str
    """The model's."""
    key: str
    """ARN of the signing key."""

    def sign(self, message: bytes) -> bytes:
        """Sign as a training node does."""
        signature: bytes = self.kms.sign(
            KeyId=self.key, Message=message, MessageType="RAW", SigningAlgorithm=ALGORITHM
        )["Signature"]
        return signature

    def pointer(self) -> dict[str, Value]:
        """Return what the pointer says."""
        found: dict[str, Value] = json.loads(self.file("current.json"))["pointer"]
        return found

    def file(self, name: str) -> bytes:
        """Return a file of the model's folder."""
        content: bytes = self.s3.get_object(Bucket=self.bucket, Key=f"{self.name}/{name}")["Body"].read()
        return content

    def files(self, version: str) -> dict[str, bytes]:
        """Return a release's files."""
        listed = json.loads(self.file(f"{version}/manifest.json"))["files"]
        return {name: self.file(f"{version}/{name}") for name in listed}

    def release(self, files: dict[str, bytes], run_id: str, signer: Signer | None = None) -> str:
        """Publish files, without moving the pointer, and return the version.

        Args:
            files: content by name.
            run_id: of the run that they are of.
            signer: who signs; None: the key.
        """
        listed = {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in files.items()
        }
        version = hashlib.sha256(canonical(listed)).hexdigest()[:16]
        manifest = canonical({"format": 1, "name": self.name, "version": version, "files": listed})
        statement = {
            "name": self.name,
            "version": version,
            "run_id": run_id,
            "manifest_sha256": hashlib.sha256(manifest).hexdigest(),
        }
        for name, content in files.items():
            self._put(f"{version}/{name}", content)
        self._put(f"{version}/manifest.sig", self._signed("statement", statement, signer))
        self.s3.put_object(
            Bucket=self.bucket, Key=f"{self.name}/{version}/manifest.json", Body=manifest, IfNoneMatch="*"
        )
        return version

    def point(self, version: str) -> None:
        """Move the pointer to a release."""
        before = self.pointer()
        previous = [old for old in (before["version"], *before["previous"]) if old != version]
        after = {
            **before,
            "version": version,
            "counter": before["counter"] + 1,
            "previous": previous,
            "percentage": 100,
        }
        self._put("current.json", self._signed("pointer", after))

    def _signed(self, part: str, value: dict[str, Value], signer: Signer | None = None) -> bytes:
        signature = base64.b64encode((signer or self.sign)(canonical(value))).decode()
        return json.dumps({"algorithm": ALGORITHM, "signature": signature, part: value}, indent=2).encode()

    def _put(self, name: str, content: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=f"{self.name}/{name}", Body=content)
