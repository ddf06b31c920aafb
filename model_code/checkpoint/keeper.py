"""Checkpoints written while the training goes on, and the newest good one found again.

What stops the training is a copy to the CPU; DCP plans, writes and hashes in a thread of each rank, and talks to the
other ranks over a gloo group of its own (on the training's group a save hung). One save at a time: the next one waits
for it. A save that fails costs nothing but itself: its files go, it is said, the next one tries again.
"""

from __future__ import annotations

import sys
import threading
import warnings
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from obstore.exceptions import BaseError
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict_saver import async_save

from model_code import store
from model_code.checkpoint import files
from model_code.checkpoint.restore import Group, cause, restore
from model_code.checkpoint.state import (
    BEST,
    MODEL,
    OPTIMIZER,
    RANDOM,
    all_finite,
    moments_of,
    random_state,
    under,
    weights_of,
)
from model_code.checkpoint.storage import Writer
from model_code.errors import RunFailedError
from model_code.parallel import World

PATIENCE = timedelta(minutes=30)
"""How long a rank's save waits for the slowest rank's upload."""


class Checkpoints:
    """The checkpoints of one run. Every rank makes one and calls the same methods after the same steps."""

    def __init__(self, run: str, world: World, *, keep: int) -> None:
        """Take the run's URI and how many complete checkpoints to keep beside the one at the best step."""
        self._folder, self._world, self._keep = store.join(run, files.FOLDER), world, keep
        self._group: Group = None
        if dist.is_initialized():
            self._group = cast("dist.ProcessGroup", dist.new_group(backend="gloo", timeout=PATIENCE))
        self._written = threading.Event()  # nothing is being written
        self._written.set()
        self._failed = ""  # why the last save failed
        self._last = ""  # name of the newest complete one
        self._may_delete = True
        # DCP says so at each save and load of a lone process.
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")

    def save(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        progress: dict[str, Any],
        best: dict[str, Tensor],
    ) -> None:
        """Begin to write a checkpoint; return once nothing that training changes is read any more.

        Args:
            model: the network, wrapped or not. If a weight of any rank is not finite, nothing is saved.
            optimizer: its optimizer.
            progress: JSON; `step`, and `best` (with the `step` of the best weights, or empty).
            best: this rank's part of the best weights, on the CPU; nobody may change it.
        """
        self._written.wait()
        step = progress["step"]
        weights = weights_of(model)
        if self.sum_over_ranks(0 if all_finite(weights) else 1):
            self._failed = "weights are not finite; lower train.learning_rate or set train.clip_norm=1"
            return
        state = {
            **under(MODEL, weights),
            **under(OPTIMIZER, moments_of(model, optimizer)),
            **under(BEST, best),
            f"{RANDOM}{self._world.rank}": random_state(),
        }
        writer = Writer(
            store.join(self._folder, files.folder_of(step)),
            {**progress, "world_size": self._world.world_size},
        )
        self._written.clear()
        saving: Any = async_save(
            state, storage_writer=writer, process_group=self._group, no_dist=self._group is None
        )
        saving.add_done_callback(lambda done: self._ended(done, step, progress["best"]))

    def settle(self) -> None:
        """Wait until the last save is complete.

        Raises:
            RunFailedError: it failed.
        """
        self._written.wait()
        if self._failed:
            raise RunFailedError(
                f"the last checkpoint could not be saved: {self._failed}, then start the same command again: "
                + (f"it goes on after {self._last}" if self._last else "it begins anew")
                if self._world.leads
                else ""
            )

    def close(self) -> None:
        """Let a save that is under way end."""
        self._written.wait()

    def restore(
        self, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[dict[str, Any], dict[str, Tensor], list[str]]:
        """Load the newest intact checkpoint; see `restore.restore`."""
        progress, best, skipped = restore(self._folder, self._world, self._group, model, optimizer)
        self._last = files.folder_of(progress["step"]) if progress else ""
        return progress, best, skipped

    def sum_over_ranks(self, number: int) -> int:
        """Return the sum of the ranks' numbers, modulo 2**64, once no save is under way."""
        self._written.wait()
        if self._group is None:
            return number % (1 << 64)
        total = torch.tensor([number - (1 << 64) if number >= 1 << 63 else number], dtype=torch.int64)
        dist.all_reduce(total, group=self._group)
        return int(total) % (1 << 64)

    def _ended(self, done: Future[Any], step: int, best: dict[str, Any]) -> None:
        """Clean up after a save, in its thread; rank 0 deletes and speaks."""
        error = done.exception()
        self._failed = f"{cause(error)}; make room in {self._folder} or give access to it" if error else ""
        name = files.folder_of(step)
        try:
            if not error:
                self._last = name
            if self._world.leads and error:
                _warn(
                    f"checkpoint {name} was not saved: {cause(error)}; training goes on, the next one tries again"
                )
                if not store.exists(store.join(self._folder, name, files.MANIFEST)):
                    files.drop(store.join(self._folder, name))
            elif self._world.leads and self._may_delete:
                files.drop_old(self._folder, step, keep=self._keep, best=best.get("step"))
        except (OSError, BaseError) as reason:
            if self._may_delete:
                _warn(
                    f"old checkpoints stay in {self._folder}: {files.first_line(reason)}; delete them by hand"
                )
            self._may_delete = False
        finally:
            self._written.set()


def _warn(line: str) -> None:
    sys.stderr.write(f"warning: {line}\n")
