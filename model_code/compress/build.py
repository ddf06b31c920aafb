"""From a candidate to a measured archive: export, pack, measure in another process, pack with golden answers."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from model_code import store
from model_code.archive import pack_mar
from model_code.compress.analyse import count_flops, count_parameters
from model_code.compress.candidates import Candidate
from model_code.compress.export import (
    ONNX,
    TORCH_EXPORT,
    WEIGHTS,
    export_onnx,
    export_torch,
    model_json,
    write_artifact,
)
from model_code.compress.networks import Base, Networks
from model_code.compress.quantize import (
    MATRICES_ONLY,
    WITH_EMBEDDINGS,
    calibration,
    dynamic_int8,
    static_int8,
    torchao_int8,
)
from model_code.compress.workspace import Workspace, folder_digest, key_of
from model_code.data.read import ShardReader
from model_code.errors import RunFailedError
from model_code.trained import unshared

GOLDEN = 3
"""Requests whose answers go with the release: a server proves itself by them."""
CALIBRATION_SAMPLES = 256
"""Training images whose activations give a quantized network its ranges."""
EXACT, NEAR = 2e-3, 0.1
"""Largest mean difference between a package and its network, fp32 and int8: of the most different class's probability,
or relative to a window's nats. What a package silently broken in packing shows is many times that."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Packing:
    """How every candidate is packed and measured."""

    name: str
    """The model's name at the inference API."""
    serve_files: Path
    """The serving room's folder."""
    threads: int
    """CPU threads of one answer."""
    device: str
    """Where it is served: `cpu` or `cuda`."""


class Builder:
    """Turns candidates into measured archives."""

    def __init__(self, base: Base, networks: Networks, packing: Packing, workspace: Workspace) -> None:
        self._base = base
        self._networks = networks
        self._packing = packing
        self._workspace = workspace
        self._serve_key = folder_digest(packing.serve_files)
        self._exported: tuple[str, bytes] | None = None  # the last network as ONNX: its int8 twin follows

    def measured(self, candidate: Candidate, name: str = "") -> dict[str, Any]:
        """Return what was measured of a candidate: found in the run's folder, or done now.

        Args:
            candidate: network and format.
            name: its folder, when that is not its own name (`baseline`).
        """
        folder = f"candidates/{name or candidate.name}"
        facts = [dataclasses.asdict(candidate), {**vars(self._packing), "serve_files": self._serve_key}]
        batch = self._base.trained.config.compress.serving_batch
        key = key_of(self._networks.key(candidate.network), facts, batch)
        found = self._workspace.finished(folder, key)
        result = found or self._make(candidate, folder, name or candidate.name, key)
        return {**result, "mar_uri": self._workspace.uri(folder, "model.mar")}

    def _make(self, candidate: Candidate, folder: str, name: str, key: str) -> dict[str, Any]:
        begun = time.monotonic()
        path = self._workspace.empty(folder)
        artifact = path / "artifact"
        artifact.mkdir()
        network = self._networks.obtain(candidate.network)
        runtime = self._export(candidate, network, artifact)
        weights = store.sha256_file(artifact / WEIGHTS[runtime])
        self._pack(artifact, runtime, path / "model.mar", golden=[])
        figures = self._measure(path / "model.mar")
        golden = figures.pop("golden")
        digest = self._pack(artifact, runtime, path / "model.mar", golden=golden)
        if store.sha256_file(artifact / WEIGHTS[runtime]) != weights:
            raise RunFailedError(
                f"{path} was changed while `{name}` was packed; run one compression at a time"
            )
        save_file(unshared(network.state_dict()), path / "model.safetensors")
        limit = NEAR if candidate.quantized else EXACT
        difference = self._difference(network, figures.pop("compared"))
        if not math.isfinite(difference):
            raise RunFailedError(
                f"`{name}` or the network that it was made from answers with no numbers (NaN)"
            )
        result = {
            "name": name,
            "network": candidate.network.name or "original",
            "format": candidate.format,
            "runtime": runtime,
            **figures,
            "size_bytes": (path / "model.mar").stat().st_size,
            "mar_sha256": digest,
            "parameters": count_parameters(network),
            "flops": count_flops(network, self._base.example),
            "fidelity": {"difference": difference, "limit": limit, "faithful": difference <= limit},
            "lossless": candidate.lossless,
            "seconds": round(time.monotonic() - begun, 2),
        }
        return self._workspace.finish(folder, key, result)

    def _export(self, candidate: Candidate, network: nn.Module, artifact: Path) -> str:
        form, example = candidate.format, self._base.example
        if form in ("export-fp32", "torchao-int8"):
            quantized = form == "torchao-int8"
            if quantized:
                network = torchao_int8(network, dynamic=self._packing.device != "cpu")
            export_torch(network, example, artifact / WEIGHTS[TORCH_EXPORT], decompose=quantized)
            return TORCH_EXPORT
        out = artifact / WEIGHTS[ONNX]
        if self._exported is None or self._exported[0] != candidate.network.name:
            export_onnx(network, example, out)
            self._exported = (candidate.network.name, out.read_bytes())
        out.write_bytes(self._exported[1])
        if form == "onnx-fp32":
            return ONNX
        with tempfile.TemporaryDirectory(prefix="skylift-export-") as scratch:
            plain = Path(scratch) / out.name
            plain.write_bytes(self._exported[1])
            if "image" in example:
                static_int8(plain, out, calibration(self._images()))
            else:
                operators = WITH_EMBEDDINGS if form == "onnx-int8" else MATRICES_ONLY
                dynamic_int8(plain, out, operators=operators)
        return ONNX

    def _images(self) -> Any:  # noqa: ANN401 - a uint8 array (N,C,H,W)
        reader = ShardReader(self._base.trained.config.data, "train")
        return next(reader.batches(CALIBRATION_SAMPLES))["image"]

    def _pack(self, artifact: Path, runtime: str, mar: Path, golden: list[dict[str, Any]]) -> str:
        facts = model_json(
            self._base.trained,
            name=self._packing.name,
            runtime=runtime,
            golden=golden,
            metric_name=self._base.task.metric_name,
        )
        write_artifact(artifact, self._base.trained, facts)
        return pack_mar(
            name=self._packing.name, artifact=artifact, serve_files=self._packing.serve_files, out=mar
        )

    def _measure(self, mar: Path) -> dict[str, Any]:
        trained = self._base.trained
        words = ["--mar", str(mar), "--data", trained.config.data, "--device", self._packing.device]
        words += ["--threads", str(self._packing.threads), "--golden", str(GOLDEN)]
        words += ["--batch", str(trained.config.compress.serving_batch)]
        return run_measure(words, self._packing.threads)

    @torch.inference_mode()
    def _difference(self, network: nn.Module, compared: list[list[float]]) -> float:
        """Return the mean difference between a package's answers to the first test samples and the network's own."""
        trained, task = self._base.trained, self._base.task
        batch = next(iter(ShardReader(trained.config.data, "test").batches(len(compared))))
        logits, targets = network(**task.inputs(batch)), task.targets(batch)
        packed = torch.tensor(compared)
        if trained.index.kind == "tokens":
            nats = functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none").sum(1)
            own = nats[: len(compared), None]
            return float(((packed - own).abs() / own).mean())
        return float((packed - logits.softmax(-1)).abs().amax(1).mean())


def run_measure(words: list[str], threads: int) -> dict[str, Any]:
    """Run `model_code.compress.measure` in a process of its own and return what it printed.

    Raises:
        RunFailedError: it failed; the message ends with its last line.
    """
    root = str(Path(__file__).parents[2])
    known = os.environ.get("PYTHONPATH", "")
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": f"{root}{os.pathsep}{known}" if known else root,
    }
    command = [sys.executable, "-m", "model_code.compress.measure", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunFailedError(f"the packaged model could not be measured: {last}")
    result: dict[str, Any] = json.loads(done.stdout)
    if not math.isfinite(result["metric"]):
        raise RunFailedError(f"the packaged model's quality is {result['metric']}; export it again")
    return result
