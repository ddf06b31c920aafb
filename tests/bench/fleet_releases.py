"""Releases in the simulation's bucket: whole, signed and small. What nodes verify is real, what they load is not."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from tests.bench.fleet_aws import Bucket
from tests.serving import NAME, canonical, image_facts, new_signer, write_release

GOLDEN = {"content_type": "image/png", "body": base64.b64encode(b"picture").decode(), "answer": {}}
BUCKET = "models"


class Publisher:
    """Who releases models and moves their pointer."""

    def __init__(self, bucket: Bucket) -> None:
        """Have a fresh key.

        Args:
            bucket: where to.
        """
        self._bucket, self._signer = bucket, new_signer()
        self._counter = 0
        self.served = ""
        """The version that all nodes are to serve, or were before the rollout that is open."""

    @property
    def public_key(self) -> bytes:
        """The public half of the key, DER."""
        return self._signer.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def release(self) -> str:
        """Write a release that nothing points at; return its version."""
        with tempfile.TemporaryDirectory(prefix="skylift-release-") as temporary:
            artifact, code = Path(temporary) / "artifact", Path(temporary) / "code"
            artifact.mkdir()
            code.mkdir()
            (artifact / "model.json").write_text(json.dumps(image_facts(golden=[GOLDEN])))
            (artifact / "model.onnx").write_text(f"release {len(self._bucket.objects)}")
            for name in ("handler.py", "predictor.py", "model-config.yaml"):
                (code / name).write_text("\n")
            folder = write_release(Path(temporary) / "models", artifact, self._signer, serve_files=code)
            for path in folder.iterdir():
                self._put(f"{folder.name}/{path.name}", path.read_bytes())
            return folder.name

    def point(self, version: str, percentage: int = 100) -> None:
        """Have a share of the nodes serve a version, the others what all served before."""
        self._counter += 1
        previous = [self.served] if self.served and self.served != version else []
        pointer = {"name": NAME, "version": version, "counter": self._counter}
        pointer |= {"previous": previous, "percentage": percentage}
        signed = {"pointer": pointer, "signature": self._signer.sign(pointer)}
        self._put("current.json", canonical(signed))
        if percentage == 100:
            self.served = version

    def _put(self, name: str, content: bytes) -> None:
        self._bucket.objects[f"{BUCKET}/{NAME}/{name}"] = content, f"{self._counter}-{name}"
