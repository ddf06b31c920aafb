"""Distillation and fine-tuning: the loss by hand, the teacher's memory, students with fewer layers, step budgets."""

from __future__ import annotations

import math
from itertools import repeat

import numpy as np
import pytest
import torch

from model_code.compress.analyse import count_parameters
from model_code.compress.distill import Teacher, distillation_loss, every_other_layer, layer_list
from model_code.compress.finetune import (
    CPU_BUDGET_FLOPS,
    STEP_FLOPS,
    FinetuneSettings,
    budget_steps,
    finetune,
    rate,
)
from model_code.compress.prune import prune
from model_code.tasks import ImageTask
from tests.tiny import inputs, network


def test_the_loss_is_the_formula() -> None:
    """T^2 * sum p log(p/q) with softened p and q, computed by hand with plain floats."""
    student, teacher, temperature = (
        [[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]],
        [[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]],
        2.0,
    )

    def softened(row: list[float]) -> list[float]:
        powers = [math.exp(value / temperature) for value in row]
        return [power / sum(powers) for power in powers]

    by_hand = 0.0
    for said, taught in zip(student, teacher, strict=True):
        q, p = softened(said), softened(taught)
        by_hand += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    by_hand *= temperature**2 / len(student)
    loss = distillation_loss(torch.tensor(student), torch.tensor(teacher), temperature)
    assert float(loss) == pytest.approx(by_hand, rel=1e-5)


def test_the_loss_is_zero_for_a_perfect_student_and_a_mean_over_tokens() -> None:
    """Equal logits cost nothing; (B,T,V) counts each token once, like (B*T,V)."""
    logits, other = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    assert float(distillation_loss(logits, logits, 3.0)) == pytest.approx(0, abs=1e-6)
    whole, flat = (
        distillation_loss(a, b, 1.5) for a, b in ((logits, other), (logits.view(6, 5), other.view(6, 5)))
    )
    torch.testing.assert_close(whole, flat)


def test_a_teacher_remembers_only_where_it_may() -> None:
    """A remembering teacher is asked once a sample, whatever the batch; the other one each time."""
    asked: list[int] = []

    class Counting(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            asked.append(len(image))
            return image.flatten(1).sum(1, keepdim=True)

    images = torch.arange(3.0).view(3, 1, 1, 1)
    teacher = Teacher(Counting(), remember=True)
    teacher.logits([7, 8, 9], {"image": images})
    again = teacher.logits([9, 7], {"image": images[[2, 0]]})
    assert asked == [3]
    assert again.tolist() == [[2.0], [0.0]]
    forgetful = Teacher(Counting(), remember=False)
    for _ in range(2):
        forgetful.logits([7], {"image": images[:1]})
    assert asked == [3, 1, 1]


@pytest.mark.parametrize(("kind", "layers", "kept"), [("text", 4, 2), ("tokens", 3, 2), ("tokens", 2, 1)])
def test_a_student_has_every_other_layer(kind: str, layers: int, kept: int) -> None:
    """The first layer and every second one after it, weights as they were; the original stays whole."""
    model = network(kind, layers)
    student = every_other_layer(model)
    own, teachers = layer_list(student), layer_list(model)
    assert own is not None
    assert teachers is not None
    assert (len(own), len(teachers)) == (kept, layers)
    last = dict(own[kept - 1].named_parameters())
    for name, parameter in teachers[2 * (kept - 1)].named_parameters():
        assert torch.equal(last[name], parameter)
    assert count_parameters(student) < count_parameters(model)
    assert student(**inputs(kind, 3, 5)).shape == model(**inputs(kind, 3, 5)).shape


def test_a_network_without_a_stack_has_no_such_student() -> None:
    """A convolutional network is refused with a reason."""
    with pytest.raises(ValueError, match="two or more equal layers"):
        every_other_layer(network("images"))


def test_fine_tuning_brings_a_pruned_network_back_to_its_teacher() -> None:
    """After 60 steps the cut network's outputs are much nearer to the original's than right after the cut."""
    model = network("images")
    with torch.no_grad():
        model.get_parameter("body.head.weight").mul_(60)  # outputs as sure of themselves as trained ones
    small = prune(model, inputs("images"), 0.5)
    image = inputs("images", 32, seed=3)["image"]
    with torch.inference_mode():
        taught = model(image)
        before = float(distillation_loss(small(image), taught, 2.0))
    batch = {
        "image": image.numpy().astype(np.uint8),
        "label": taught.argmax(1).numpy(),
        "id": np.arange(32, dtype=np.uint64),
    }
    told: list[int] = []
    finetune(
        small,
        Teacher(model, remember=True),
        ImageTask(),
        repeat(batch),
        FinetuneSettings(steps=60, learning_rate=3e-3, temperature=2.0),
        device=torch.device("cpu"),
        advance=lambda step, loss: told.append(step if math.isfinite(loss) else -1),
    )
    with torch.inference_mode():
        after = float(distillation_loss(small(image), taught, 2.0))
    assert not small.training
    assert told == list(range(1, 61))
    assert after < 0.3 * before


def test_the_learning_rate_rises_and_falls() -> None:
    """Linear to 1 over the first tenth, then a cosine to zero."""
    rates = [rate(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([(n + 1) / 10 for n in range(10)])
    assert max(rates) == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[99] < 0.001


def test_steps_are_bounded_by_what_they_cost() -> None:
    """Cheap networks get the epochs asked for, dear ones what the budget pays for, 60 at least; a GPU has none."""
    cheap = budget_steps(5, 20, batch=64, student_flops=10**6, teacher_flops=10**6, limited=True)
    assert cheap == 100
    dear = budget_steps(100, 20, batch=10, student_flops=int(1e8), teacher_flops=0, limited=True)
    assert dear == int(CPU_BUDGET_FLOPS / (STEP_FLOPS + 10 * 3e8))
    assert budget_steps(5, 100, batch=64, student_flops=10**12, teacher_flops=0, limited=True) == 60
    assert budget_steps(5, 100, batch=64, student_flops=10**12, teacher_flops=0, limited=False) == 500
    assert budget_steps(5, 20, batch=64, student_flops=1, teacher_flops=0, limited=True, longer=2) == 200
