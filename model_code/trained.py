"""A finished run: its final weights and all that is needed to build and feed the network again, in one folder.

`<run>/config.json` (the resolved RunConfig), `model.safetensors`, `network.json` (transformers' own configuration,
where there is one), `tokenizer.json` (text and tokens), `custom.py` (a copy of the user's builder file, so that the run
outlives it), and `trained.json`, written last: while it is missing the run is not finished.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obstore.exceptions import BaseError
from safetensors.torch import load, save
from torch import Tensor, nn

from model_code import store
from model_code.config import RunConfig, from_json, to_json
from model_code.data.index import DataIndex, load_index
from model_code.errors import InputError, RunFailedError
from model_code.functions import split_name
from model_code.models import build_model

WEIGHTS, CONFIG, NETWORK, TOKENIZER, CUSTOM, RESULT = (
    "model.safetensors",
    "config.json",
    "network.json",
    "tokenizer.json",
    "custom.py",
    "trained.json",
)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained network, ready to be measured, compressed or packed."""

    model: nn.Module
    """In evaluation mode, fp32, on the CPU."""
    config: RunConfig
    """The run's resolved config."""
    index: DataIndex
    """What its data set holds."""
    tokenizer_json: bytes | None
    """The tokenizer, None for images."""
    run_id: str
    """Hash of config, data version and code."""
    result: dict[str, Any]
    """What `trained.json` says: metric, steps, seconds, world size."""


def save_inputs(
    run: str, config: RunConfig, *, tokenizer_json: bytes | None, network: str, builder_file: Path | None
) -> None:
    """Write what describes a run, before it starts: config, tokenizer, network configuration, builder."""
    store.write(store.join(run, CONFIG), to_json(config).encode())
    if tokenizer_json is not None:
        store.write(store.join(run, TOKENIZER), tokenizer_json)
    if network:
        store.write(store.join(run, NETWORK), network.encode())
    if builder_file is not None:
        store.write(store.join(run, CUSTOM), builder_file.read_bytes())


def save_trained(run: str, weights: dict[str, Tensor], facts: dict[str, Any]) -> dict[str, Any]:
    """Write the final weights and then `trained.json`; return its content.

    Args:
        run: the run's URI.
        weights: whole state dict on the CPU; a tensor that several names share is stored once.
        facts: run_id, family, world_size, metric_name, metric, steps, seconds and what else is worth knowing.

    Raises:
        RunFailedError: they cannot be written; the last checkpoint holds them.
    """
    content = save(unshared(weights))
    result = {**facts, "model_sha256": hashlib.sha256(content).hexdigest(), "model_bytes": len(content)}
    try:
        store.write(store.join(run, WEIGHTS), content)
        store.write(store.join(run, RESULT), (json.dumps(result, indent=2) + "\n").encode())
    except (OSError, BaseError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise RunFailedError(
            f"the trained weights cannot be written to {run}: {reason}; make room or give access, then start the "
            "same command again: it goes on after its last checkpoint"
        ) from None
    return result


def read_result(run: str) -> dict[str, Any] | None:
    """Return what `trained.json` says, None while the run is not finished."""
    try:
        content = store.read(store.join(run, RESULT))
    except FileNotFoundError:
        return None
    result: dict[str, Any] = json.loads(content)
    return result


def load_trained(run: str) -> Trained:
    """Return the trained network of a finished run.

    Raises:
        InputError: the run is unknown or not finished.
        RunFailedError: the weights are not the ones that training wrote.
    """
    result = read_result(run)
    if result is None:
        raise InputError(f"run `{run}` has no {RESULT}: it is not finished; train it first")
    config = from_json(store.read(store.join(run, CONFIG)).decode())
    index = load_index(config.data)
    content = store.read(store.join(run, WEIGHTS))
    digest = hashlib.sha256(content).hexdigest()
    if digest != result["model_sha256"]:
        raise RunFailedError(
            f"{store.join(run, WEIGHTS)} has SHA-256 {digest[:12]}, {RESULT} says {result['model_sha256'][:12]}; "
            "train the run again"
        )
    model = build_from_run(run, config, index)
    load_weights(model, load(content))
    tokenizer = _optional(store.join(run, TOKENIZER))
    return Trained(
        model=model.float().eval(),
        config=config,
        index=index,
        tokenizer_json=tokenizer,
        run_id=result["run_id"],
        result=result,
    )


def build_from_run(run: str, config: RunConfig, index: DataIndex) -> nn.Module:
    """Return a run's network with random weights, from the run's own files only (no pretrained or builder file)."""
    network = _optional(store.join(run, NETWORK))
    builder = _optional(store.join(run, CUSTOM))
    if builder is None:
        return build_model(config.model, index, network="" if network is None else network.decode())
    _, _, function = config.model.builder.rpartition(":")
    with tempfile.TemporaryDirectory(prefix="skylift-") as folder:
        file = Path(folder) / CUSTOM
        file.write_bytes(builder)
        return build_model(dataclasses.replace(config.model, builder=f"{file}:{function}"), index)


def builder_file(config: RunConfig) -> Path | None:
    """Return the file of a custom builder, None for a built-in family."""
    return split_name(config.model.builder, "model.builder")[0] if config.model.family == "custom" else None


def load_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load a state dict in which a tensor shared by several names may be stored under one of them only.

    Raises:
        RunFailedError: a tensor is missing, unknown or of another shape.
    """
    shared = aliases(model)
    try:
        missing, unknown = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise RunFailedError(
            f"weights do not fit the network: {str(error).splitlines()[-1].strip()}"
        ) from None
    missing = [name for name in missing if name not in shared]
    if missing or unknown:
        raise RunFailedError(f"weights do not fit the network: missing {missing[:3]}, unknown {unknown[:3]}")


def aliases(model: nn.Module) -> set[str]:
    """Return the second and later names of parameters that have several (tied weights)."""
    seen, found = set(), set()
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) in seen:
            found.add(name)
        seen.add(id(parameter))
    return found


def unshared(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict without the second and later names of one tensor, which safetensors refuses."""
    seen = set()
    kept = {}
    for name, tensor in weights.items():
        place = (tensor.data_ptr(), tuple(tensor.shape))
        if tensor.numel() and place in seen:
            continue
        seen.add(place)
        kept[name] = tensor.contiguous()
    return kept


def _optional(uri: str) -> bytes | None:
    try:
        return store.read(uri)
    except FileNotFoundError:
        return None
