"""Distillation: a smaller network learns from the original's outputs (Hinton et al., 2015, arXiv:1503.02531)."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_code.compress.groups import evaluating

TEACHER_SHARE = 0.7
"""Weight of the teacher's outputs in the loss; the rest is the labels'."""


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T^2 * KL(softmax(teacher/T) || softmax(student/T)) in nats, the mean over all predictions.

    The factor keeps the gradients' size when T changes (section 2 of the paper).

    Args:
        student: logits (..., K).
        teacher: logits (..., K).
        temperature: T, above 0.
    """
    softened = functional.log_softmax(student.flatten(0, -2).float() / temperature, dim=-1)
    target = functional.log_softmax(teacher.flatten(0, -2).float() / temperature, dim=-1)
    divergence = functional.kl_div(softened, target, reduction="batchmean", log_target=True)
    return divergence * temperature**2


class Teacher:
    """The original network. What it said to a sample that comes again is remembered, where that can be said once."""

    def __init__(self, model: nn.Module, *, remember: bool) -> None:
        """Take the network.

        Args:
            model: the original, on the device of the training.
            remember: keep answers by sample id: right only where a sample always looks the same (no augmentation)
                and an answer is small (classes, not a whole vocabulary a token).
        """
        self._model = model
        self._remember = remember
        self._known: dict[int, Tensor] = {}

    @torch.no_grad()
    def logits(self, ids: Sequence[int], inputs: dict[str, Tensor]) -> Tensor:
        """Return the logits of a batch whose samples have these ids."""
        if self._remember and all(one in self._known for one in ids):
            return torch.stack([self._known[one] for one in ids])
        with evaluating(self._model):
            logits: Tensor = self._model(**inputs)
        if self._remember:
            self._known.update(zip(ids, logits, strict=True))
        return logits


def layer_list(model: nn.Module) -> nn.ModuleList | None:
    """Return the stack of equal layers that a transformer consists of, None where there is no such stack."""
    stacks = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len({type(x) for x in m}) == 1]
    return max(stacks, key=len, default=None)


def every_other_layer(model: nn.Module) -> nn.Module:
    """Return a copy of a transformer with every other layer, the first one always kept.

    Raises:
        ValueError: the network has no stack of two or more equal layers.
    """
    student = copy.deepcopy(model)
    stack = layer_list(student)
    if stack is None or len(stack) < 2:
        raise ValueError(
            "a student with fewer layers needs a network with a stack of two or more equal layers"
        )
    kept = [layer for number, layer in enumerate(stack) if number % 2 == 0]
    del stack[len(kept) :]
    for number, layer in enumerate(kept):
        stack[number] = layer
    config = getattr(getattr(student, "body", None), "config", None)
    if config is not None:
        config.num_hidden_layers = len(kept)
    return student
