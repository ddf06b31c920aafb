"""What of a training is kept as tensors: this rank's part of weights and moments, and its random generators.

Names are the plain network's, whatever wraps it, so that DDP, FSDP2 and a lone process read each other's checkpoints.
"""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.staging import BlockingAsyncStager
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from model_code.errors import InputError
from model_code.parallel import unwrapped
from model_code.trained import aliases

MODEL, OPTIMIZER, BEST, RANDOM = "model/", "optimizer/", "best/", "random/"
_TIED = StateDictOptions(strict=False)  # a tied tensor is stored under one name only
_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the network's own tensors by name: this rank's shards under FSDP2, a tied one under its first name."""
    found: dict[str, Any] = get_model_state_dict(model)
    twice = aliases(unwrapped(model))
    return {name: tensor for name, tensor in found.items() if name not in twice}


def copy_of(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return copies on the CPU, sharded as the originals are."""
    copied: dict[str, Tensor] = BlockingAsyncStager().stage(weights)
    return copied


def set_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load each rank's part into its network."""
    set_model_state_dict(model, {**weights}, options=_TIED)


def whole_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the whole state dict as CPU copies on rank 0, an empty one elsewhere. Every rank must call it."""
    found: dict[str, Any] = get_model_state_dict(model, options=_WHOLE)
    twice = aliases(unwrapped(model))
    return {name: tensor.clone() for name, tensor in found.items() if name not in twice}


def moments_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's own tensors as `parameter/moment`; a fresh optimizer gets some first."""
    state: Any = get_optimizer_state_dict(model, optimizer)["state"]
    return {f"{name}/{key}": value for name, own in state.items() for key, value in own.items()}


def set_moments(model: nn.Module, optimizer: torch.optim.Optimizer, moments: dict[str, Tensor]) -> None:
    """Load each rank's part into its optimizer."""
    state: dict[str, Any] = {}
    for name, tensor in moments.items():
        parameter, _, moment = name.rpartition("/")
        state.setdefault(parameter, {})[moment] = tensor
    groups = get_optimizer_state_dict(model, optimizer)["param_groups"]
    set_optimizer_state_dict(model, optimizer, {"state": state, "param_groups": groups}, options=_TIED)


def schedule_of(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Return the numbers of each parameter group: learning rate, decay, betas or momentum."""
    groups = [
        {key: value for key, value in group.items() if isinstance(value, float | tuple)}
        for group in optimizer.param_groups
    ]
    numbers: list[dict[str, Any]] = json.loads(json.dumps(groups))  # tuples as they will be read again
    return numbers


def refuse_another_schedule(optimizer: torch.optim.Optimizer, progress: dict[str, Any]) -> None:
    """Check that a checkpoint's learning rates are those of the same step now.

    Raises:
        InputError: the run was trained by another schedule.
    """
    if schedule_of(optimizer) != progress["schedule"]:
        raise InputError(
            f"schedule of step {progress['step']} must be {schedule_of(optimizer)} to resume, the checkpoint has "
            f"{progress['schedule']}; choose another --run-id or leave it out"
        )


def random_state() -> Tensor:
    """Return the state of this process's generators (torch, its GPU's, numpy, Python) as the bytes of a JSON text."""
    name, keys, *rest = np.random.get_state()
    state = {
        "torch": torch.get_rng_state().numpy().tobytes().hex(),
        "cuda": torch.cuda.get_rng_state().numpy().tobytes().hex() if torch.cuda.is_available() else "",
        "numpy": [name, np.asarray(keys).tolist(), *rest],
        "python": random.getstate(),
    }
    return torch.frombuffer(bytearray(json.dumps(state).encode()), dtype=torch.uint8)


def set_random_state(content: Tensor) -> None:
    """Put this process's generators where `random_state` found them."""
    state = json.loads(content.numpy().tobytes())
    torch.set_rng_state(_bytes(state["torch"]))
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(_bytes(state["cuda"]))
    np.random.set_state(tuple(state["numpy"]))
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))


def all_finite(weights: dict[str, Tensor]) -> bool:
    """Tell whether this rank's part of the weights holds numbers only."""
    parts = [tensor.to_local() if hasattr(tensor, "to_local") else tensor for tensor in weights.values()]
    checks = [part.isfinite().all() for part in parts if part.is_floating_point() and part.numel()]
    return bool(torch.stack(checks).all()) if checks else True


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with a prefix before each name."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


def below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that have the prefix, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _bytes(text: str) -> Tensor:
    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)
