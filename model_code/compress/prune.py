"""Structured pruning: whole channels, hidden units and attention heads are cut, so that every runtime gets faster."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

from torch import Tensor, nn

from model_code.compress.groups import Group, Network

MULTIPLE = 8
"""Channels that are left are a multiple of this where there are enough: what vector units and int8 kernels like."""


def prune(
    model: nn.Module, inputs: dict[str, Tensor], share: float, *, shares: Mapping[str, float] | None = None
) -> nn.Module:
    """Return a copy of a network without the weakest channels, hidden units and heads (least L1 norm) of each layer.

    The same arguments give the same network: a run that was interrupted builds it again and loads its weights.

    Args:
        model: the trained network.
        inputs: named tensors of a small batch, for tracing.
        share: what every layer loses, 0 to below 1.
        shares: other shares for some layers, by the name of their group: the sensitive ones.
    """
    network = copy.deepcopy(model)
    traced = Network(network, inputs)
    for group in traced.groups():
        wanted = share if shares is None else shares.get(group.name, share)
        if gone := group.units - units_left(group, wanted):
            traced.cut(group, group.weakest(gone))
    return network.train(model.training)


def units_left(group: Group, share: float) -> int:
    """Return how many channels or heads of a group stay when it should lose a share of them: one at least."""
    exact = group.units * (1 - share)
    if group.kind == "heads" or group.units < 2 * MULTIPLE:
        return max(1, round(exact))
    return min(group.units, max(MULTIPLE, MULTIPLE * math.floor(exact / MULTIPLE + 0.5)))
