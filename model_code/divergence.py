"""A loss that is no number, or explodes, stops the run: the step, the rank and its samples are named."""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from typing import Any

import numpy as np

from model_code import incidents
from model_code.config import TrainConfig
from model_code.parallel import World, fail_together, gather_bytes
from model_code.told import Heard

WINDOW = 50  # steps of the running median
FEWEST = 10  # before that, a median says little
SHOWN_IDS = 4


class LossGuard:
    """Checks every step's loss and gradient norm before anything is saved of it. All ranks find the same."""

    def __init__(self, run: str, train: TrainConfig, world: World) -> None:
        """Begin without a past: the running median fills anew after a resume."""
        self._run, self._train, self._world = run, train, world
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._ids: dict[int, np.ndarray[Any, np.dtype[np.uint64]]] = {}
        self._checked = 0

    def keep(self, step: int, ids: np.ndarray[Any, np.dtype[np.uint64]]) -> None:
        """Remember this rank's samples of a step until it is checked, one step later."""
        self._ids = {step - 1: self._ids[step - 1]} if step - 1 in self._ids else {}
        self._ids[step] = ids

    def check(self, heard: Heard) -> None:
        """Check a step, once.

        Raises:
            RunFailedError: on rank 0, naming the step, the rank and its samples.
            SystemExit: on the others.
        """
        if heard.step <= self._checked:
            return
        self._checked = heard.step
        ranks = [rank for rank, loss in enumerate(heard.losses) if not math.isfinite(loss)]
        if ranks:
            self._stop(heard, ranks, f"the loss is {heard.losses[ranks[0]]}", "")
        if not math.isfinite(heard.norm):
            # The gradients were averaged before they were measured: any rank's may have been the first.
            self._stop(heard, list(range(len(heard.losses))), f"the gradient norm is {heard.norm}", "")
        worst = max(heard.losses)
        if self._train.explode_factor and len(self._losses) >= FEWEST:
            usual = median(self._losses)
            if worst > self._train.explode_factor * usual:
                how = (
                    f", {worst / usual:.1f} times the median of {len(self._losses)} steps, where "
                    f"train.explode_factor allows {self._train.explode_factor:g}"
                )
                self._stop(heard, [heard.losses.index(worst)], f"the loss is {worst:g}", how)
        self._losses.append(heard.loss)

    def _stop(self, heard: Heard, ranks: list[int], what: str, how: str) -> None:
        every = [np.frombuffer(one, np.uint64) for one in gather_bytes(self._ids[heard.step].tobytes())]
        ids = {rank: [f"{one:016x}" for one in every[rank].tolist()] for rank in ranks}
        first = ids[ranks[0]]
        named = ", ".join(first[:SHOWN_IDS]) + ("" if len(first) <= SHOWN_IDS else ", ...")
        who = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {', '.join(map(str, ranks))}"
        kept = incidents.last_checkpoint(self._run) if self._world.leads else ""
        if self._world.leads:
            incidents.record(
                self._run,
                "loss",
                what=what + how,
                step=heard.step,
                losses=[str(one) for one in heard.losses],
                gradient_norm=str(heard.norm),
                ids=ids,
                checkpoint=kept,
            )
        fail_together(
            f"{what} after step {heard.step} on {who}{how}; its batch: {named} (all ids in {incidents.FILE}); "
            f"last good checkpoint: {kept}; lower train.learning_rate (now {self._train.learning_rate:g}), "
            "set train.clip_norm=1 or look at these samples"
        )
