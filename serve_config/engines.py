"""The runtimes that an artifact can name: each turns a batch of named arrays into logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """A loaded network."""

    def __call__(self, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return the logits of a batch of named inputs."""


def load_engine(runtime: str, weights: Path, device: str, threads: int) -> Engine:
    """Load a network.

    Args:
        runtime: "onnxruntime" or "torch-export".
        weights: the file that the runtime reads.
        device: "cpu", "cuda" or "cuda:N".
        threads: CPU threads of one call.

    Raises:
        ValueError: there is no such runtime.
    """
    loaders = {"onnxruntime": _load_onnx, "torch-export": _load_export}
    if runtime not in loaders:
        raise ValueError(
            f"runtime in model.json must be one of {sorted(loaders)}, got `{runtime}`; export it again"
        )
    return loaders[runtime](weights, device, threads)


def _load_onnx(weights: Path, device: str, threads: int) -> Engine:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin while they wait take the core from the neighbour worker.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    index = int(device.partition(":")[2] or 0)
    cuda = [("CUDAExecutionProvider", {"device_id": index})] if device.startswith("cuda") else []
    there = onnxruntime.get_available_providers()
    providers = [*(p for p in cuda if p[0] in there), "CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(str(weights), options, providers=providers)

    def run(inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        return np.asarray(session.run(["logits"], inputs)[0], np.float32)

    return run


def _load_export(weights: Path, device: str, threads: int) -> Engine:
    import torch
    from torch.export.passes import move_to_device_pass

    torch.set_num_threads(threads)
    program = torch.export.load(str(weights))
    network = (program if device == "cpu" else move_to_device_pass(program, device)).module()

    def run(inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        tensors = {name: torch.from_numpy(array).to(device) for name, array in inputs.items()}
        with torch.inference_mode():
            logits: torch.Tensor = network(**tensors)
        return logits.float().cpu().numpy()

    return run
