"""What a network costs and where it can be made smaller: parameters, FLOPs, measured sensitivity of its layers."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from model_code.compress.gate import quality_ratio
from model_code.compress.groups import Group, Network, evaluating
from model_code.data.read import ShardReader
from model_code.tasks import Task

SHARE = 0.8
"""Share of one layer's channels, hidden units or heads that are silenced to see how much the network needs them."""

SENSITIVE_RATIO = 0.9
"""A layer is sensitive when the network without SHARE of it keeps less than this share of its quality."""

MOST_SAMPLES = {"accuracy": 512, "bits_per_byte": 128}
"""Validation samples that a layer's sensitivity is measured on, by metric; a block of tokens says more than a label."""
BATCH = 64
"""Samples a call while it is measured."""

Measure = Callable[[nn.Module], float]
"""Returns a network's quality on the validation split."""


@dataclass(frozen=True, kw_only=True)
class LayerSensitivity:
    """How much the network needs one layer."""

    layer: str
    """Name of the layer that leads a group of coupled ones."""
    kind: str
    """`channels` (also hidden units) or `heads`."""
    units: int
    """How many channels or heads it has."""
    parameters: int
    """Parameters of all layers in its group."""
    metric: float
    """Quality on the validation split with SHARE of the layer silenced, no fine-tuning."""
    ratio: float
    """That as a share of the whole network's, 1: not needed at all (also for metrics where lower is better)."""


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What `analyse` found."""

    parameters: int
    """Trained numbers."""
    flops: int
    """Floating-point operations of one forward on one sample (2 a multiply-add)."""
    metric: float
    """Quality of the untouched network on the same samples."""
    share: float
    """Share of a layer that was silenced."""
    sensitivity: tuple[LayerSensitivity, ...]
    """One a layer, in the network's order."""

    def sensitive_layers(self) -> tuple[str, ...]:
        """Return the names of the layers to be careful with, the most sensitive first; at most half of all."""
        ranked = sorted(self.sensitivity, key=lambda layer: layer.ratio)
        worst = [layer.layer for layer in ranked if layer.ratio < SENSITIVE_RATIO]
        return tuple(worst[: len(ranked) // 2])

    def to_dict(self) -> dict[str, Any]:
        """Return the analysis as JSON can hold it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Analysis:
        """Return what `to_dict` gave."""
        layers = tuple(LayerSensitivity(**layer) for layer in values["sensitivity"])
        return cls(**{**values, "sensitivity": layers})


def analyse(
    model: nn.Module,
    inputs: dict[str, Tensor],
    measure: Measure,
    *,
    higher_is_better: bool,
    advance: Callable[[int, int], None] | None = None,
) -> Analysis:
    """Measure a network; it is not changed.

    Args:
        model: the trained network, on the CPU or a GPU.
        inputs: named tensors of a small batch, on the same device.
        measure: quality on the validation split.
        higher_is_better: whether more of that is better.
        advance: told after each layer how many are done, and of how many.
    """
    whole = measure(model)
    groups = Network(model, inputs).groups()
    sensitivity = []
    for done, group in enumerate(groups, start=1):
        metric = measure(silenced(model, group, group.weakest(int(SHARE * group.units))))
        sensitivity.append(
            LayerSensitivity(
                layer=group.name,
                kind=group.kind,
                units=group.units,
                parameters=sum(p.numel() for module, _ in group.outputs() for p in module.parameters()),
                metric=metric,
                ratio=quality_ratio(metric, whole, higher_is_better=higher_is_better),
            )
        )
        if advance:
            advance(done, len(groups))
    return Analysis(
        parameters=count_parameters(model),
        flops=count_flops(model, inputs),
        metric=whole,
        share=SHARE,
        sensitivity=tuple(sensitivity),
    )


def silenced(model: nn.Module, group: Group, channels: Sequence[int]) -> nn.Module:
    """Return a copy of a network that computes what it would without some channels of a group.

    Zeros in place of cutting: the shapes stay, so nothing has to be traced again for each layer.
    """
    names = {module: name for name, module in model.named_modules()}
    network = copy.deepcopy(model)
    with torch.no_grad():
        for module, rows in group.outputs():
            if module not in names:
                continue  # torch-pruning's stand-in for an operation without weights
            target = network.get_submodule(names[module])
            for parameter in target.parameters(recurse=False):
                parameter[[rows[channel] for channel in channels]] = 0.0
    return network


def count_parameters(model: nn.Module) -> int:
    """Return how many numbers a network has learned."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_flops(model: nn.Module, inputs: dict[str, Tensor]) -> int:
    """Return the floating-point operations (2 a multiply-add) of one forward, per sample of the batch given."""
    with evaluating(model), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(**inputs)
    return int(counter.get_total_flops() // len(next(iter(inputs.values()))))


def validation_measure(task: Task, reader: ShardReader, device: torch.device) -> Measure:
    """Return a function that gives a network's quality on the first samples of a split."""
    batches = []
    for batch in reader.batches(BATCH):
        batches.append(batch)
        if len(batches) * BATCH >= MOST_SAMPLES[task.metric_name]:
            break

    def measure(model: nn.Module) -> float:
        over = under = 0.0
        with evaluating(model), torch.inference_mode():
            for batch in batches:
                inputs = {name: tensor.to(device) for name, tensor in task.inputs(batch).items()}
                score = task.score(model(**inputs), task.targets(batch).to(device))
                over, under = over + score[0], under + score[1]
        return over / max(under, 1.0)

    return measure
