"""What the ranks tell each other after a step, in the one collective that averages their losses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from model_code.parallel import World, average


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One step as every rank reads it: the same everywhere."""

    step: int
    """The step that was made, from 1."""
    loss: float
    """Mean over the ranks."""
    stop: bool
    """True: some rank was asked to stop."""
    lost: bool
    """True: rank 0 does not hold the run any more."""
    losses: tuple[float, ...]
    """Each rank's own."""
    norms: tuple[float, ...]
    """Gradient norm at each rank, before clipping: of the averaged gradients (DDP), of its own part (FSDP2)."""
    seconds: tuple[float, ...]
    """Each rank's own time, without waiting for others."""

    @property
    def norm(self) -> float:
        """The gradient norm; not finite where any rank's is not."""
        one = max(self.norms, default=0.0)
        return one if all(map(math.isfinite, self.norms)) else sum(self.norms)


class Told:
    """What was told after one step. It is computed while the next step is made, and waited for where it is read."""

    def __init__(self, step: int, values: Tensor) -> None:
        """Take what `tell` averaged."""
        self._step, self._values = step, values

    @cached_property
    def heard(self) -> Heard:
        """The values, on the CPU."""
        loss, stop, lost, *slots = self._values.tolist()
        size = len(slots) // 3
        # Each rank filled its own slot of each: the sum, not the mean, is what it said.
        losses, norms, seconds = (tuple(x * size for x in slots[n * size : (n + 1) * size]) for n in range(3))
        return Heard(
            step=self._step,
            loss=loss,
            stop=stop > 0,
            lost=lost > 0,
            losses=losses,
            norms=norms,
            seconds=seconds,
        )


def tell(
    world: World,
    step: int,
    *,
    loss: Tensor,
    norm: Tensor,
    seconds: float,
    stop: bool,
    lost: bool,
    statistics: list[Tensor],
) -> Told:
    """Tell the others of a step, and hear of theirs. Every rank must call it.

    Args:
        world: this process among the others.
        step: the step that was made.
        loss: (1,) this rank's own.
        norm: (1,) its gradient norm.
        seconds: its own time.
        stop: it was asked to stop.
        lost: it held the run and lost it.
        statistics: averaged over the ranks, in place.
    """
    slots = loss.new_zeros(3, world.world_size)
    slots[:, world.rank] = torch.cat([loss, norm.to(loss), loss.new_tensor([seconds])])
    flags = loss.new_tensor([float(stop), float(lost)])
    return Told(step, average(torch.cat([loss, flags, slots.flatten()]), statistics))
