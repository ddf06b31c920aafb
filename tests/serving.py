"""A tiny model, released and signed as `model_code/release.py` writes it, for the tests of the serving room."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from model_code.archive import pack_mar
from serve_config.predictor import load

SERVE_FILES = Path(__file__).parents[1] / "serve_config"
CLASSES = [str(digit) for digit in range(10)]
NAME = "tiny"


def canonical(value: object) -> bytes:
    """JSON with one spelling."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class Signs(Protocol):
    """What releases are signed with, a key here or in KMS."""

    def sign(self, value: object) -> str:
        """Return the signature of a JSON value."""


@dataclass(frozen=True)
class Signer:
    """A fresh key pair."""

    key: ec.EllipticCurvePrivateKey

    def sign(self, value: object) -> str:
        """Return the signature of a JSON value."""
        return base64.b64encode(self.key.sign(canonical(value), ec.ECDSA(hashes.SHA256()))).decode()

    def write_public(self, path: Path) -> Path:
        """Write the public half as PEM."""
        path.write_bytes(
            self.key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        return path


def new_signer() -> Signer:
    """Return a fresh key pair."""
    return Signer(ec.generate_private_key(ec.SECP256R1()))


def picture(seed: int, *, size: tuple[int, int] = (8, 8), mode: str = "L", kind: str = "PNG") -> bytes:
    """Return a random picture's file."""
    rng = np.random.default_rng(seed)
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (size[1], size[0]) if channels == 1 else (size[1], size[0], channels)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, shape, np.uint8), mode).save(buffer, kind)
    return buffer.getvalue()


def image_facts(**changes: Any) -> dict[str, Any]:
    """Return the content of a model.json for the tiny image model."""
    facts: dict[str, Any] = {
        "format": 1,
        "name": NAME,
        "family": "resnet",
        "task": "image-classification",
        "runtime": "onnxruntime",
        "weights": "model.onnx",
        "classes": CLASSES,
        "image": {"channels": 1, "height": 8, "width": 8},
        "text": None,
        "tokens": None,
        "inputs": ["image"],
        "metric_name": "accuracy",
        "golden": [],
    }
    return facts | changes


def write_onnx(path: Path, *, repeats: int = 1, seed: int = 0) -> None:
    """Write a linear network over 8x8 pixels; it computes its product `repeats` times over, to take longer."""
    weights = np.random.default_rng(seed).normal(size=(64, 10)).astype(np.float32) / 2048
    nodes = [helper.make_node("Flatten", ["image"], ["flat"], axis=1)]
    initial = [numpy_helper.from_array(weights, "weights")]
    if repeats > 1:
        big = np.eye(64, dtype=np.float32)
        initial.append(numpy_helper.from_array(big, "eye"))
        inputs = ["flat", *(f"x{i}" for i in range(repeats - 1))]
        nodes += [helper.make_node("MatMul", [one, "eye"], [f"x{i}"]) for i, one in enumerate(inputs)]
    last = f"x{repeats - 1}" if repeats > 1 else "flat"
    nodes.append(helper.make_node("MatMul", [last, "weights"], ["logits"]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        initial,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def write_artifact(folder: Path, *, repeats: int = 1, seed: int = 0) -> Path:
    """Write the tiny model's artifact folder, with golden answers of its own; another seed, other weights."""
    folder.mkdir(parents=True)
    write_onnx(folder / "model.onnx", repeats=repeats, seed=seed)
    (folder / "model.json").write_text(json.dumps(image_facts()))
    predictor = load(folder)
    golden = []
    for seed in range(3):
        body = picture(seed)
        (_, answer), *_ = predictor.answer([(body, "image/png")])
        encoded = base64.b64encode(body).decode()
        golden.append({"content_type": "image/png", "body": encoded, "answer": answer})
    (folder / "model.json").write_text(json.dumps(image_facts(golden=golden)))
    return folder


def publish(models: Path, artifact: Path, signer: Signs, *, counter: int = 1, passed: bool = True) -> Path:
    """Write a release and its pointer; return the release's folder."""
    folder = write_release(models, artifact, signer, passed=passed)
    point(models, folder.name, signer, counter=counter)
    return folder


def write_release(
    models: Path,
    artifact: Path,
    signer: Signs,
    *,
    passed: bool = True,
    serve_files: Path = SERVE_FILES,
    peak_bytes: int = 0,
) -> Path:
    """Write a release that nothing points at yet; return its folder."""
    staged = Path(tempfile.mkdtemp(prefix="staged-", dir=artifact.parent))
    digest = pack_mar(name=NAME, artifact=artifact, serve_files=serve_files, out=staged / "model.mar")
    report: dict[str, Any] = {"chosen": "pruned", "passed": passed, "mar_sha256": digest}
    if peak_bytes:
        report["candidates"] = [{"name": "pruned", "peak_memory_bytes": peak_bytes}]
    (staged / "report.json").write_text(json.dumps(report))
    (staged / "model.json").write_bytes((artifact / "model.json").read_bytes())
    files = {path.name: path.read_bytes() for path in sorted(staged.iterdir())}
    listed = {n: {"sha256": hashlib.sha256(c).hexdigest(), "bytes": len(c)} for n, c in files.items()}
    version = hashlib.sha256(canonical(listed)).hexdigest()[:16]
    manifest = canonical({"format": 1, "name": NAME, "version": version, "files": listed})
    statement = {
        "name": NAME,
        "version": version,
        "run_id": "r1",
        "manifest_sha256": hashlib.sha256(manifest).hexdigest(),
    }
    folder = models / NAME / version
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "manifest.json").write_bytes(manifest)
    write_signed(folder / "manifest.sig", "statement", statement, signer)
    return folder


def point(
    models: Path,
    version: str,
    signer: Signs,
    *,
    counter: int,
    name: str = NAME,
    previous: Sequence[str] = (),
    percentage: int = 100,
) -> None:
    """Write the signed pointer, whole or not at all."""
    pointer = {"name": name, "version": version, "counter": counter}
    pointer |= {"previous": list(previous), "percentage": percentage}
    path = models / NAME / "current.json"
    write_signed(path.with_suffix(".part"), "pointer", pointer, signer)
    path.with_suffix(".part").replace(path)


def write_signed(path: Path, part: str, value: object, signer: Signs) -> None:
    """Write a signed JSON file."""
    signed = {part: value, "algorithm": "ECDSA_SHA_256", "signature": signer.sign(value)}
    path.write_text(json.dumps(signed))
