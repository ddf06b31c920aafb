"""Checkpoints that any number of ranks can resume: whole tensors as safetensors, the rest as JSON, no pickle.

`<run>/checkpoints/step-000001000/` holds `model.safetensors`, `optimizer.safetensors` (moments, named
`parameter/moment`), `best.safetensors` (the best weights so far), `progress.json` (step, data position, best metric)
and, written last, `manifest.json` with the SHA-256 of each. A folder without its manifest, or with a file that does not
match it, does not count: the one before is used. Learning rate and random numbers follow from config and step, so they
need no saving.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from model_code import store
from model_code.parallel import share_bytes, share_tensors, unwrapped
from model_code.trained import aliases

FOLDER = "checkpoints"
MODEL, OPTIMIZER, BEST, PROGRESS, MANIFEST = (
    "model.safetensors",
    "optimizer.safetensors",
    "best.safetensors",
    "progress.json",
    "manifest.json",
)
FORMAT = 1
_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
_LOADED = StateDictOptions(full_state_dict=True, strict=False)  # a tied tensor is stored under one name only


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What one checkpoint holds, on the CPU."""

    progress: dict[str, Any] = field(default_factory=dict)
    """`step`, `stream` (the data position), `best` (metric and step), `seconds` trained; empty: nothing to resume."""
    model: dict[str, Tensor] = field(default_factory=dict)
    """Whole state dict of the network."""
    optimizer: dict[str, Tensor] = field(default_factory=dict)
    """Moments by `parameter/moment`."""
    best: dict[str, Tensor] = field(default_factory=dict)
    """State dict of the best weights so far; empty before the first evaluation."""


def whole_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the whole state dict as CPU copies on rank 0, an empty one elsewhere. Every rank must call it."""
    weights: dict[str, Any] = get_model_state_dict(model, options=_WHOLE)
    twice = aliases(unwrapped(model))
    return {name: tensor.clone() for name, tensor in weights.items() if name not in twice}


def set_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load rank 0's whole state dict into the network of every rank."""
    shared: dict[str, Any] = {**share_tensors(weights)}
    set_model_state_dict(model, shared, options=_LOADED)


def save_checkpoint(
    run: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    progress: dict[str, Any],
    best: dict[str, Tensor],
    keep: int,
) -> None:
    """Write a checkpoint, and drop those before the `keep` newest. Every rank must call it; rank 0 writes.

    Args:
        run: the run's URI.
        model: the network, wrapped or not.
        optimizer: its optimizer.
        progress: see `Checkpoint.progress`.
        best: best weights so far (rank 0).
        keep: complete checkpoints to keep.
    """
    weights = whole_weights(model)
    state: Any = get_optimizer_state_dict(model, optimizer, options=_WHOLE)
    if torch.distributed.is_initialized() and torch.distributed.get_rank() != 0:
        return
    moments = {f"{name}/{key}": value for name, own in state["state"].items() for key, value in own.items()}
    files = {
        MODEL: save(weights),
        OPTIMIZER: save(moments),
        PROGRESS: json.dumps(progress, indent=2).encode(),
    }
    if best:
        files[BEST] = save(best)
    folder = store.join(run, FOLDER, f"step-{progress['step']:09d}")
    for name, content in files.items():
        store.write(store.join(folder, name), content)
    manifest = {
        "format": FORMAT,
        "step": progress["step"],
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in files.items()
        },
    }
    store.write(store.join(folder, MANIFEST), json.dumps(manifest, indent=2).encode())
    _drop_old(store.join(run, FOLDER), keep)


def read_newest(run: str) -> tuple[Checkpoint, list[str]]:
    """Return the newest intact checkpoint (an empty one where there is none), and what was passed over and why."""
    skipped: list[str] = []
    for name in sorted(store.names(store.join(run, FOLDER)), reverse=True):
        try:
            return _read(store.join(run, FOLDER, name)), skipped
        except (_DamagedError, FileNotFoundError) as reason:
            skipped.append(f"{name}: {reason}")
    return Checkpoint(), skipped


def restore(checkpoint: Checkpoint, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Load rank 0's checkpoint into network and optimizer of every rank; return its progress.

    Every rank must call it. An empty checkpoint changes nothing.
    """
    progress: dict[str, Any] = json.loads(share_bytes(json.dumps(checkpoint.progress).encode()))
    if not progress:
        return progress
    set_weights(model, checkpoint.model)
    moments: dict[str, Any] = {}
    for name, tensor in share_tensors(checkpoint.optimizer).items():
        parameter, _, moment = name.rpartition("/")
        moments.setdefault(parameter, {})[moment] = tensor
    groups = get_optimizer_state_dict(model, optimizer)["param_groups"]
    set_optimizer_state_dict(model, optimizer, {"state": moments, "param_groups": groups}, options=_LOADED)
    return progress


class _DamagedError(Exception):
    """A checkpoint does not match its manifest."""


def _read(folder: str) -> Checkpoint:
    try:
        manifest = json.loads(store.read(store.join(folder, MANIFEST)))
    except FileNotFoundError:
        raise _DamagedError(f"no {MANIFEST}, its writing was interrupted") from None
    except ValueError:
        raise _DamagedError(f"{MANIFEST} is not JSON") from None
    if manifest.get("format") != FORMAT:
        raise _DamagedError(f"{MANIFEST} has format {manifest.get('format')!r}, this version reads {FORMAT}")
    files = {}
    for name, facts in manifest["files"].items():
        try:
            files[name] = store.read(store.join(folder, name))
        except FileNotFoundError:
            raise _DamagedError(f"{name} is missing") from None
        digest = hashlib.sha256(files[name]).hexdigest()
        if digest != facts["sha256"]:
            raise _DamagedError(f"{name} has SHA-256 {digest[:12]}, the manifest says {facts['sha256'][:12]}")
    return Checkpoint(
        progress=json.loads(files[PROGRESS]),
        model=load(files[MODEL]),
        optimizer=load(files[OPTIMIZER]),
        best=load(files[BEST]) if BEST in files else {},
    )


def _drop_old(folder: str, keep: int) -> None:
    path = store.local_path(folder)
    if path is None:
        return  # in a bucket, a lifecycle rule on `checkpoints/` does it: trainers need no right to delete
    complete = [name for name in store.names(folder) if (path / name / MANIFEST).exists()]
    for name in complete[:-keep]:
        (path / name / MANIFEST).unlink()  # first, so that a half-dropped one counts as incomplete
        shutil.rmtree(path / name)
