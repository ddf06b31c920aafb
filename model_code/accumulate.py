"""The gradients of one optimizer step, summed over the micro-batches that a rank's share is cut into."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from model_code.config import TrainConfig
from model_code.parallel import autocast, sync_gradients
from model_code.tasks import Batch, Task


def fitted(train: TrainConfig, world_size: int, full_world: int) -> TrainConfig:
    """Return how fewer ranks train than were meant to: more micro-batches each, none larger than a full world's.

    The global batch stays what it is, and a rank needs no more memory than it has.

    Args:
        train: as it was meant for the full world.
        world_size: ranks that there are.
        full_world: ranks that were meant; 0: as many as there are.
    """
    if world_size >= full_world or train.global_batch % world_size:
        return train
    share = train.global_batch // world_size
    fewest = -(-train.accumulate * full_world // world_size)
    parts = next((count for count in range(fewest, share) if share % count == 0), share)
    return dataclasses.replace(train, accumulate=parts)


def accumulate_gradients(
    model: nn.Module,
    task: Task,
    batch: Batch,
    train: TrainConfig,
    device: torch.device,
    at: Callable[[str], None],
) -> Tensor:
    """Run forward and backward over a batch; return this rank's mean loss (1,). Only the last part talks to others.

    Args:
        model: the network, wrapped or not; its gradients are added to.
        task: what its kind of data asks of it.
        batch: this rank's samples, a multiple of `train.accumulate`.
        train: how it is trained.
        device: where it computes.
        at: told of each phase that begins, `forward` or `backward`.
    """
    size = len(batch["id"]) // train.accumulate
    total = torch.zeros(1, device=device)
    for number in range(train.accumulate):
        part = {name: column[number * size : (number + 1) * size] for name, column in batch.items()}
        with sync_gradients(model, last=number == train.accumulate - 1):
            inputs = {name: one.to(device) for name, one in task.inputs(part).items()}
            at("forward")
            with autocast(train.precision, device):
                logits = model(**inputs)
            targets = task.targets(part).to(device)
            loss = task.loss(logits, targets, train.label_smoothing) / train.accumulate
            at("backward")
            loss.backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    return total
