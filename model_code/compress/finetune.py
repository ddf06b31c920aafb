"""Fine-tuning in one process: a pruned or distilled network is trained from the labels and from its teacher."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model_code.augment import augment
from model_code.compress.distill import TEACHER_SHARE, Teacher, distillation_loss
from model_code.tasks import Batch, Task

WARMUP = 0.1
"""Share of the steps with a linearly rising learning rate; a cosine to zero follows."""
WEIGHT_DECAY = 0.01
"""Decoupled decay of matrices and kernels; vectors are spared."""
CLIP_NORM = 1.0
"""Largest gradient norm."""

CPU_BUDGET_FLOPS = 2.5e12
"""What one fine-tuning may cost without a GPU, teacher included: about 50 s of one core."""
STEP_FLOPS = 5e9
"""What a step costs beside its arithmetic (optimizer, tokenizer, small operators), in FLOPs of the same time."""
PARALLEL_FLOPS = 2e10
"""A step that costs less is not faster on two cores than on one."""
FEWEST_STEPS = 60
"""Steps that even an expensive network gets: fewer would not let it recover from a cut."""


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """How long and how fast."""

    steps: int
    """Optimizer steps, 1 or more."""
    learning_rate: float
    """Peak learning rate."""
    temperature: float
    """Softening of the teacher's outputs."""
    seed: int = 0
    """Seed of dropout and augmentation."""
    augmented: bool = False
    """Random crops and flips (images)."""


def budget_steps(
    epochs: float,
    steps_per_epoch: int,
    *,
    batch: int,
    student_flops: int,
    teacher_flops: int,
    limited: bool,
    longer: float = 1.0,
) -> int:
    """Return how many steps a network is trained for.

    Args:
        epochs: passes over the training split that were asked for.
        steps_per_epoch: steps a pass.
        batch: samples a step.
        student_flops: of one forward of the student on one sample; its backward costs twice that.
        teacher_flops: of one forward of the teacher on one sample, 0 where its answers are remembered.
        limited: whether CPU_BUDGET_FLOPS holds (it does without a GPU).
        longer: factor on both, of a later round.
    """
    asked = math.ceil(epochs * steps_per_epoch * longer)
    if not limited:
        return max(1, asked)
    affordable = int(CPU_BUDGET_FLOPS * longer / (STEP_FLOPS + batch * (3 * student_flops + teacher_flops)))
    return max(1, min(asked, max(FEWEST_STEPS, affordable)))


def finetune(
    student: nn.Module,
    teacher: Teacher,
    task: Task,
    batches: Iterator[Batch],
    settings: FinetuneSettings,
    *,
    device: torch.device,
    advance: Callable[[int, float], None] | None = None,
) -> None:
    """Train a network in place by AdamW, and leave it in evaluation mode.

    Args:
        student: the network, on `device`.
        teacher: the original, on `device`.
        task: what the data asks of a network.
        batches: endless stream of batches.
        settings: how long and how fast.
        device: where both networks are.
        advance: told the number of finished steps and the loss after each.
    """
    torch.manual_seed(settings.seed)
    optimizer = _optimizer(student, settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, settings.steps))
    student.train()
    for step in range(settings.steps):
        batch = next(batches)
        inputs = task.inputs(batch)
        if settings.augmented and "image" in inputs:
            inputs["image"] = augment(inputs["image"], batch["id"], settings.seed, step)
        inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
        loss = _loss(student, teacher, task, batch, inputs, settings.temperature)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(student.parameters(), CLIP_NORM)
        optimizer.step()
        schedule.step()
        if advance:
            advance(step + 1, loss.item())
    student.eval()


def rate(step: int, steps: int) -> float:
    """Return the share of the peak learning rate at a step: linear warm-up, then a cosine to zero."""
    warm = max(1, round(WARMUP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _loss(
    student: nn.Module,
    teacher: Teacher,
    task: Task,
    batch: Batch,
    inputs: dict[str, Tensor],
    temperature: float,
) -> Tensor:
    ids = [int(one) for one in batch["id"]]
    taught = teacher.logits(ids, inputs)
    said = student(**inputs)
    hard = task.loss(said, task.targets(batch).to(said.device))
    return TEACHER_SHARE * distillation_loss(said, taught, temperature) + (1 - TEACHER_SHARE) * hard


def _optimizer(model: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    learned = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)
