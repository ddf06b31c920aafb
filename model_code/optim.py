"""The optimizer and its learning rate: everything follows from config and step, so nothing but moments is saved."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from model_code.config import TrainConfig

MOMENTUM = 0.9


def build_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Return the optimizer; matrices and kernels decay, vectors (norms, biases) are spared."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=MOMENTUM, nesterov=True, fused=True)
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def learning_rate(config: TrainConfig, step: int, steps: int) -> float:
    """Return the rate of a step (from 0): a linear rise over the warm-up, then a cosine to zero.

    Cosine: Loshchilov and Hutter, 2017 (arXiv:1608.03983), without restarts.
    """
    warmup = max(1, round(config.warmup * steps)) if config.warmup else 0
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def gradient_norm(model: nn.Module, largest: float) -> Tensor:
    """Return the norm (1,) of the gradients, which are scaled down to a `largest` one (0: not).

    Of sharded gradients (FSDP2) it is this rank's part that is returned.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
    if largest:
        norm = nn.utils.clip_grad_norm_(parameters, largest)
    else:
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    return (norm.to_local() if isinstance(norm, DTensor) else norm).view(1)
