"""What can be cut out of a network: the groups of channels, heads and hidden units that torch-pruning finds coupled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch_pruning
from torch import Tensor, nn

HEAD_LAYERS = ("query", "key", "value", "q_proj", "k_proj", "v_proj", "q_lin", "k_lin", "v_lin")
"""Last part of the names that transformers gives the projections of its attention layers."""

OUT = "out"
"""How the names of torch-pruning's functions for a layer's outputs end (`prune_linear_out_channels`)."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Coupled layers that lose their outputs together: a channel goes everywhere or nowhere."""

    name: str
    """Name of the layer that the group is found by."""
    kind: Literal["channels", "heads"]
    """Convolution channels and hidden units are cut one by one, attention heads whole."""
    size: int
    """Output channels of that layer."""
    unit: int
    """Channels that go together: 1, or a head's width."""
    members: Any
    """torch-pruning's group over all of `size` channels."""

    @property
    def units(self) -> int:
        """How many channels or heads there are."""
        return self.size // self.unit

    def importance(self) -> Tensor:
        """Return the L1 norm of the weights that make each channel or head, shape (units,)."""
        total = torch.zeros(self.size)
        for module, rows in self.outputs():
            if isinstance(module, nn.Linear | nn.Conv2d):
                total += module.weight.detach().abs().flatten(1).sum(1).cpu()[rows]
        return total.view(self.units, self.unit).sum(1)

    def weakest(self, count: int) -> list[int]:
        """Return the channels of the `count` channels or heads with the least importance, sorted."""
        chosen = self.importance().argsort(stable=True)[:count].tolist()
        return sorted(unit * self.unit + offset for unit in chosen for offset in range(self.unit))

    def outputs(self) -> Iterator[tuple[nn.Module, list[int]]]:
        """Give every module whose outputs the group shares, and which of its rows the channels 0, 1, … are."""
        for dependency, rows in self.members:
            function = getattr(dependency.handler, "__name__", "")
            if OUT in function and isinstance(dependency.target.module, nn.Module):
                yield dependency.target.module, list(rows)


class Network:
    """A network with its couplings traced once."""

    def __init__(self, model: nn.Module, inputs: dict[str, Tensor]) -> None:
        """Trace a network.

        Args:
            model: the network; it is not changed by tracing.
            inputs: the forward's named tensors for a small batch.
        """
        self.model = model
        with evaluating(model):
            self._graph = torch_pruning.DependencyGraph().build_dependency(
                model, inputs, forward_fn=lambda network, named: network(**named), verbose=False
            )

    def groups(self) -> list[Group]:
        """Return the groups that may lose channels, in the order of the network's layers.

        Left out: the classes or tokens that the network answers with, and the hidden size of a transformer (whatever
        an embedding or a layer norm belongs to): all layers share it, so a part of it is never the weak part.
        """
        names = {module: name for name, module in self.model.named_modules()}
        order = {module: place for place, module in enumerate(names)}
        found = []
        for members in self._graph.get_all_groups(root_module_types=[nn.Conv2d, nn.Linear]):
            modules = [dependency.target.module for dependency, _ in members]
            layers = {m for m in modules if isinstance(m, nn.Module) and m in names}
            shared = any(isinstance(m, nn.Embedding) or "norm" in type(m).__name__.lower().replace("batchnorm", "")
                         for m in layers)  # fmt: skip
            if shared or len(layers) < 2:
                continue
            size = len(members[0].idxs)
            leader = min(
                (d.target.module for d, _ in members if self._cuts_outputs(d) and d.target.module in layers),
                key=lambda module: order[module],
            )
            heads = sum(names[m].rsplit(".", 1)[-1] in HEAD_LAYERS for m in layers)
            unit = self._head_width() if heads else 1
            # With fewer key than query heads (grouped queries) a head is not one block of channels everywhere.
            if heads not in (0, 3) or size % unit or size // unit < 2:
                continue
            found.append(
                Group(
                    name=names[leader],
                    kind="heads" if heads else "channels",
                    size=size,
                    unit=unit,
                    members=self._members(leader, list(range(size))),
                )
            )
        return sorted(found, key=lambda group: order[self.model.get_submodule(group.name)])

    def cut(self, group: Group, channels: list[int]) -> None:
        """Remove some of a group's channels from every layer that has them."""
        self._members(self.model.get_submodule(group.name), channels).prune()

    def _members(self, leader: nn.Module, channels: list[int]) -> Any:  # noqa: ANN401 - torch-pruning's group
        function = self._graph.get_pruner_of_module(leader).prune_out_channels
        return self._graph.get_pruning_group(leader, function, idxs=channels)

    @staticmethod
    def _cuts_outputs(dependency: Any) -> bool:  # noqa: ANN401 - torch-pruning's dependency
        return OUT in getattr(dependency.handler, "__name__", "") and isinstance(
            dependency.target.module, nn.Linear | nn.Conv2d
        )

    def _head_width(self) -> int:
        config = getattr(getattr(self.model, "body", None), "config", None)
        heads = int(getattr(config, "num_attention_heads", 0) or 0)
        return (
            int(getattr(config, "head_dim", 0) or int(config.hidden_size) // heads) if heads and config else 1
        )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Keep a network in evaluation mode for a while."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
