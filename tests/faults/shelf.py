"""A model store with releases of the tiny model, good and spoilt, and what a node says of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from model_code.signing import ensure_key_pair
from serve_config.golden import Golden
from tests.faults.load import own_answers
from tests.serving import NAME, SERVE_FILES, Signer, new_signer, point, write_artifact, write_release
from tests.serving_node import RunningNode

RAISE = "raise RuntimeError('broken on purpose')"
RAISES_AT_LOAD = f"\n\ndef load(*_, **__):\n    {RAISE}\n"
RAISES_ON_REQUESTS = f"""

_load = load


def load(*words, **options):
    predictor = _load(*words, **options)

    def answer(requests):
        {RAISE}

    predictor.answer = answer
    return predictor
"""
EXHAUSTS_MEMORY = (
    "\n\ndef load(*_, **__):\n    held = []\n    while True:\n        held.append(b'x' * (16 << 20))\n"
)
"""Put at the end of `predictor.py` in an archive."""


@dataclass
class Shelf:
    """What `--out` is for `skylift`: keys and models. Releases lie there; the pointer is moved at will."""

    out: Path
    answers: dict[str, list[Golden]] = field(default_factory=dict)
    """What each good release answers."""
    counter: int = 0
    """Of the pointer."""
    made: int = 0
    """Releases written."""

    @property
    def models(self) -> Path:
        """The model store."""
        return self.out / "models"

    @property
    def key(self) -> Path:
        """The private key, as `skylift` keeps it."""
        return ensure_key_pair(self.out / "keys")

    @property
    def signer(self) -> Signer:
        """The same key."""
        key = serialization.load_pem_private_key(self.key.read_bytes(), password=None)
        return Signer(cast("ec.EllipticCurvePrivateKey", key))

    @property
    def words(self) -> list[str]:
        """The command line of a node that serves from here."""
        public = self.key.with_name("signing.pub.pem")
        return ["--models", str(self.models), "--name", NAME, "--public-key", str(public)]

    def good(self, seed: int, *, peak_bytes: int = 0) -> str:
        """Write a good release of its own weights and return its version."""
        artifact = self._artifact(seed)
        version = write_release(self.models, artifact, self.signer, peak_bytes=peak_bytes).name
        self.answers[version] = own_answers(artifact)
        return version

    def otherwise_coded(self, more: str) -> str:
        """Write a release whose predictor is not ours."""
        self.made += 1
        files = self.out / f"files-{self.made}"
        shutil.copytree(SERVE_FILES, files, ignore=shutil.ignore_patterns("__pycache__"))
        with (files / "predictor.py").open("a") as file:
            file.write(more)
        return write_release(self.models, self._artifact(9), self.signer, serve_files=files).name

    def wrong_golden(self, *, peak_bytes: int = 0) -> str:
        """Write a release that does not answer as its golden answers say."""
        artifact = self._artifact(9)
        facts = json.loads((artifact / "model.json").read_text())
        facts["golden"][0]["answer"]["score"] += 0.5
        (artifact / "model.json").write_text(json.dumps(facts))
        return write_release(self.models, artifact, self.signer, peak_bytes=peak_bytes).name

    def broken_weights(self) -> str:
        """Write a release that its runtime cannot load."""
        artifact = self._artifact(9)
        (artifact / "model.onnx").write_bytes(b"no network")
        return write_release(self.models, artifact, self.signer).name

    def strangers(self) -> str:
        """Write a release that somebody else signed."""
        return write_release(self.models, self._artifact(9), new_signer()).name

    def ungated(self) -> str:
        """Write a release that the gate refused."""
        return write_release(self.models, self._artifact(9), self.signer, passed=False).name

    def changed_byte(self) -> str:
        """Write a release and flip one bit of its archive."""
        folder = write_release(self.models, self._artifact(9), self.signer)
        content = bytearray((folder / "model.mar").read_bytes())
        content[len(content) // 2] ^= 1
        (folder / "model.mar").write_bytes(content)
        return folder.name

    def point(self, version: str, signer: Signer | None = None) -> None:
        """Move the pointer."""
        self.counter += 1
        point(self.models, version, signer or self.signer, counter=self.counter)

    def skylift(self, *words: str) -> dict[str, Any]:
        """Run a command as an operator would; return what it printed."""
        command = [str(Path(sys.executable).with_name("skylift")), *words, "--out", str(self.out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        self.counter = said["counter"]
        return said

    def _artifact(self, seed: int) -> Path:
        self.made += 1
        return write_artifact(self.out / f"release-{self.made}" / "artifact", seed=seed)


def said(node: RunningNode) -> dict[str, Any]:
    """Return the body of /ready."""
    with node.client() as client:
        body: dict[str, Any] = client.get("/ready").json()
        return body


def serves(node: RunningNode, version: str) -> bool:
    """Tell whether a node is ready with a version."""
    body = said(node)
    return body["ready"] and body.get("version") == version


def refuses(node: RunningNode, version: str) -> bool:
    """Tell whether a node says that it refuses a version."""
    return bool(said(node).get("refused", {}).get("version") == version)


def java_servers(node: RunningNode) -> int:
    """Return how many model servers run."""
    return sum("org.pytorch.serve.ModelServer" in " ".join(one.cmdline()) for one in node.family())
