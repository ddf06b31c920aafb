"""Where the time of a disturbed training went. Pure: what `probed_recipe.py` wrote in, seconds out.

Goodput is the share of the time that went into steps which count (the term is Google's): a step that is made again
after a failure counts once. What stands between a checkpoint and the next one is Young's and Daly's trade:
J. W. Young, "A first order approximation to the optimum checkpoint interval", CACM 17(9), 1974; J. T. Daly, "A higher
order estimate of the optimum checkpoint interval for restart dumps", FGCS 22(3), 2006.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, order=True)
class Event:
    """Something that rank 0 did."""

    begun: float
    """When it began, seconds."""
    ended: float
    """When it ended."""
    kind: str
    """`process` (from its start to the recipe's import), `resume`, `step` or `save`."""
    step: int
    """Optimizer step, from 1."""
    process: int
    """Of which process."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Seconds of one training, from its start to its end."""

    wall: float
    """In all."""
    productive: float
    """Steps that count, from the begin of each to the next one's."""
    checkpoint: float
    """Steps stood still for a checkpoint (what its thread takes beside the training is in the steps)."""
    redone: float
    """Steps that were made and lost: a later process made them again."""
    boot: float
    """Until the first step."""
    restart: float
    """From the last step of a process to the first of the next: noticed, started again, met, resumed."""
    steps: int
    """Steps that count."""
    starts: int
    """Processes that made a step."""

    @property
    def goodput(self) -> float:
        """Share of the time that went into steps that count."""
        return self.productive / self.wall


def split(events: Iterable[Event], begun: float, ended: float) -> Split:
    """Return where the time between two moments went.

    Args:
        events: rank 0's, of all processes, in any order.
        begun: when the training was started.
        ended: when it was stopped, or reached its last step.
    """
    known = sorted(one for one in events if one.ended <= ended)
    steps = [one for one in known if one.kind == "step"]
    if not steps:
        return Split(wall=ended - begun, productive=0, checkpoint=0, redone=0, boot=ended - begun, restart=0,
                     steps=0, starts=0)  # fmt: skip
    saves = [one for one in known if one.kind == "save"]
    last = {one.step: one for one in steps}  # the later one counts
    spent, restart = {True: 0.0, False: 0.0}, 0.0
    for one, after in zip(steps, [*steps[1:], None], strict=True):
        until = after.begun if after else ended
        saving = sum(
            x.ended - x.begun for x in saves if x.process == one.process and one.begun <= x.begun < until
        )
        counts = last[one.step] is one
        if after and after.process == one.process:
            spent[counts] += until - one.begun - saving
        else:
            spent[counts] += one.ended - one.begun
            restart += until - one.ended - saving
    return Split(
        wall=ended - begun,
        productive=spent[True],
        checkpoint=sum(one.ended - one.begun for one in saves),
        redone=spent[False],
        boot=steps[0].begun - begun,
        restart=restart,
        steps=len(last),
        starts=len({one.process for one in steps}),
    )


def best_interval(checkpoint: float, between_failures: float) -> float:
    """Return Young's optimum of the seconds between checkpoints: sqrt(2 * C * MTBF).

    Args:
        checkpoint: C, seconds that one costs.
        between_failures: MTBF of the whole group, seconds.
    """
    return math.sqrt(2 * checkpoint * between_failures)


def expected_goodput(checkpoint: float, restart: float, between_failures: float) -> float:
    """Return the share of the time that counts at the best interval, by Daly's first-order loss.

    Each interval T pays C; each failure pays the restart and half of what lies between two checkpoints.

    Args:
        checkpoint: C, seconds that one costs.
        restart: seconds from a failure to the next step.
        between_failures: MTBF of the whole group, seconds.
    """
    interval = best_interval(checkpoint, between_failures)
    lost = checkpoint / interval + (restart + (interval + checkpoint) / 2) / between_failures
    return max(0.0, 1 - lost)
