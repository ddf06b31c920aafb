"""The networks behind the candidates: cut out of the trained one, fine-tuned from it, kept for a restart."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model_code.compress.analyse import Analysis, count_flops
from model_code.compress.candidates import NetworkPlan
from model_code.compress.distill import Teacher, every_other_layer
from model_code.compress.finetune import PARALLEL_FLOPS, FinetuneSettings, budget_steps, finetune
from model_code.compress.prune import prune
from model_code.compress.workspace import Workspace, key_of
from model_code.data.read import ShardReader, TrainStream
from model_code.tasks import Task
from model_code.trained import Trained, load_weights, unshared

WEIGHTS = "model.safetensors"
REMEMBERED_SAMPLES = 200_000
"""Training samples whose teacher answers fit in memory."""


Advance = Callable[[str, int, int], None]
"""Told what is going on, how many steps are done, and of how many."""


@dataclass(frozen=True, kw_only=True)
class Base:
    """What every network is made from."""

    trained: Trained
    """The trained network, its config and data."""
    task: Task
    """What the data asks of a network."""
    example: dict[str, Tensor]
    """Inputs of two samples, on the CPU."""
    device: torch.device
    """Where fine-tuning computes."""
    source_key: str
    """Hash of the run, its weights and this room's code."""


class Networks:
    """Makes networks on demand, each once."""

    def __init__(self, base: Base, analysis: Analysis, workspace: Workspace, advance: Advance) -> None:
        self._base = base
        self._analysis = analysis
        self._workspace = workspace
        self._advance = advance
        self._made: dict[str, nn.Module] = {}
        self._teacher: Teacher | None = None

    def key(self, plan: NetworkPlan) -> str:
        """Return the hash of all that a network depends on."""
        facts = dataclasses.asdict(plan)
        if plan.method == "original":
            return key_of(self._base.source_key, facts)
        if plan.method == "pruned":
            facts["sensitive"] = self._analysis.sensitive_layers()
        config = self._base.trained.config
        training = (config.compress.epochs, config.compress.learning_rate, config.compress.temperature)
        return key_of(self._base.source_key, facts, training, self._base.device.type)

    def obtain(self, plan: NetworkPlan) -> nn.Module:
        """Return a network in evaluation mode on the CPU: from memory, from the run's folder, or made now."""
        if plan.method == "original":
            return self._base.trained.model
        if plan.name not in self._made:
            self._made = {plan.name: self._restored(plan) or self._tuned(plan)}  # the last one is enough
        return self._made[plan.name]

    def _restored(self, plan: NetworkPlan) -> nn.Module | None:
        folder = f"networks/{plan.name}"
        if self._workspace.finished(folder, self.key(plan)) is None:
            return None
        network = self._skeleton(plan)
        load_weights(network, load_file(self._workspace.file(folder, WEIGHTS)))
        return network.eval()

    def _tuned(self, plan: NetworkPlan) -> nn.Module:
        folder = f"networks/{plan.name}"
        path = self._workspace.empty(folder)
        network = self._skeleton(plan)
        steps = self._finetune(network, plan)
        save_file(unshared(network.state_dict()), path / WEIGHTS)
        self._workspace.finish(folder, self.key(plan), {"network": plan.name, "steps": steps})
        return network

    def _skeleton(self, plan: NetworkPlan) -> nn.Module:
        model = self._base.trained.model
        if plan.method == "layers":
            return every_other_layer(model)
        shares = dict.fromkeys(self._analysis.sensitive_layers(), plan.sensitive_share)
        return prune(model, self._base.example, plan.share, shares=shares)

    def _finetune(self, network: nn.Module, plan: NetworkPlan) -> int:
        base, config = self._base, self._base.trained.config
        remember = self._remembers()
        reader = ShardReader(config.data, "train")
        stream = TrainStream(reader, global_batch=config.train.global_batch, seed=config.train.seed + 1)
        # Of a real batch, whose texts are padded to the longest: the two examples may be short ones.
        sample = base.task.inputs(next(iter(reader.batches(config.train.global_batch))))
        student, teacher = (count_flops(model, sample) for model in (network, base.trained.model))
        steps = budget_steps(
            config.compress.epochs,
            stream.steps_per_epoch,
            batch=config.train.global_batch,
            student_flops=student,
            teacher_flops=0 if remember else teacher,
            limited=base.device.type == "cpu",
            longer=plan.longer,
        )
        step_flops = config.train.global_batch * (3 * student + teacher)
        torch.set_num_threads(cores() if step_flops > PARALLEL_FLOPS else 1)
        if self._teacher is None:
            original = base.trained.model
            on_device = original if base.device.type == "cpu" else copy.deepcopy(original).to(base.device)
            self._teacher = Teacher(on_device, remember=remember)
        try:
            finetune(
                network.to(base.device),
                self._teacher,
                base.task,
                stream,
                FinetuneSettings(
                    steps=steps,
                    learning_rate=self._learning_rate(),
                    temperature=config.compress.temperature,
                    seed=config.train.seed,
                    augmented=self._augments(),
                ),
                device=base.device,
                advance=lambda step, loss: self._advance(
                    f"fine-tune {plan.name} (loss {loss:.3f})", step, steps
                ),
            )
        finally:
            stream.close()
            torch.set_num_threads(cores())
        network.to("cpu")
        return steps

    def _learning_rate(self) -> float:
        """Return the configured peak, less for weights that were themselves fine-tuned gently (pretrained ones)."""
        config = self._base.trained.config
        gentle = 2 * config.train.learning_rate if config.train.optimizer == "adamw" else float("inf")
        return min(config.compress.learning_rate, gentle)

    def _augments(self) -> bool:
        return self._base.trained.config.train.augment and self._base.trained.index.image is not None

    def _remembers(self) -> bool:
        index = self._base.trained.index
        image = index.image
        varied = self._augments() and image is not None and min(image.height, image.width) > 16
        few = index.splits["train"].samples <= REMEMBERED_SAMPLES
        return few and bool(index.classes) and not varied


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
