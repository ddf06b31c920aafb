"""The newest intact checkpoint, brought to every machine, verified there and loaded by any number of ranks."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from obstore.exceptions import BaseError
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
from torch.distributed.checkpoint.state_dict_loader import load

from model_code import store
from model_code.checkpoint import files
from model_code.checkpoint.state import (
    BEST,
    MODEL,
    OPTIMIZER,
    RANDOM,
    below,
    copy_of,
    moments_of,
    set_moments,
    set_random_state,
    set_weights,
    under,
    weights_of,
)
from model_code.errors import RunFailedError
from model_code.parallel import World

Group = dist.ProcessGroup | None
"""The gloo group of the checkpoints; None in a lone process."""


def restore(
    folder: str,
    world: World,
    group: Group,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> tuple[dict[str, Any], dict[str, Tensor], list[str]]:
    """Load the newest intact checkpoint into network, optimizer and (in a world of equal size) random generators.

    Rank 0 chooses by verifying; one rank of every other machine fetches and verifies the same one.

    Args:
        folder: URI of the run's checkpoints.
        world: this process among the others.
        group: the process group of the checkpoints.
        model: the network, wrapped or not.
        optimizer: its optimizer.

    Returns:
        Its progress (empty: nothing was loaded), this rank's part of its best weights, and what was passed over.

    Raises:
        RunFailedError: the store does not answer, a machine cannot read the checkpoint that rank 0 chose, or it fits
            another network.
    """
    own = Path(tempfile.mkdtemp(prefix="skylift-checkpoint-"))
    try:
        found = _chosen(folder, world, group, own)
        if not found["name"]:
            return {}, {}, found["skipped"]
        if world.local_rank == 0 and not world.leads:
            _fetch(folder, world, found, own)
        here = _of_this_machine(own, world, group)
        progress = json.loads((here / files.PROGRESS).read_bytes())
        best = _load(here, world, group, model, optimizer, progress)
        if group is not None:
            dist.barrier(group)  # nobody reads the files any more
    finally:
        shutil.rmtree(own, ignore_errors=True)
    return progress, best, found["skipped"]


def cause(error: BaseException) -> str:
    """Return in one line what a rank met: DCP wraps it with every rank's trace."""
    if isinstance(error, CheckpointException) and error.failures:
        rank, (first, _) = next(iter(error.failures.items()))
        return f"rank {rank}: {files.first_line(first)}"
    return files.first_line(error)


def _chosen(folder: str, world: World, group: Group, into: Path) -> dict[str, Any]:
    """Return on every rank which checkpoint rank 0 has fetched and found intact, and what it passed over."""
    found: list[Any] = [None]
    if world.leads:
        try:
            name, listed, skipped = files.fetch_newest(folder, into)
            found = [{"name": name, "files": listed, "skipped": skipped}]
        except (OSError, BaseError) as error:  # an older checkpoint would be no better
            found = [{"error": files.first_line(error)}]
    if group is not None:
        # The default group would be less patient than a download.
        dist.broadcast_object_list(found, src=0, group=group)
    chosen: dict[str, Any] = found[0]
    if "error" in chosen:
        raise RunFailedError(
            f"{folder} cannot be read: {chosen['error']}; check access, network and room in the temporary folder, "
            "then start the same command again"
            if world.leads
            else ""
        )
    return chosen


def _fetch(folder: str, world: World, found: dict[str, Any], into: Path) -> None:
    try:
        files.fetch(store.join(folder, found["name"]), found["files"], into)
    except (files.DamagedError, OSError, BaseError) as reason:
        raise RunFailedError(
            f"rank {world.rank} cannot read checkpoint {found['name']} that rank 0 could: "
            f"{files.first_line(reason)}; give every machine access to {folder}"
        ) from None


def _of_this_machine(own: Path, world: World, group: Group) -> Path:
    """Return the folder that this machine's first rank fetched into."""
    if group is None:
        return own
    folders: list[Any] = [None] * world.world_size
    dist.all_gather_object(folders, str(own), group=group)
    return Path(folders[world.rank - world.local_rank])


def _load(
    folder: Path,
    world: World,
    group: Group,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: dict[str, Any],
) -> dict[str, Tensor]:
    weights, moments = weights_of(model), moments_of(model, optimizer)
    best = copy_of(weights) if progress["best"] else {}
    state = {**under(MODEL, weights), **under(OPTIMIZER, moments), **under(BEST, best)}
    reader = HuggingFaceStorageReader(str(folder))
    mine = f"{RANDOM}{world.rank}"
    if progress["world_size"] == world.world_size:
        known: Any = reader.read_metadata().state_dict_metadata[mine]
        state[mine] = torch.empty(known.size, dtype=torch.uint8)
    try:
        load(state, storage_reader=reader, process_group=group, no_dist=group is None)
    except CheckpointException as error:
        raise RunFailedError(
            f"checkpoint {files.folder_of(progress['step'])} does not fit this network: {cause(error)}; "
            "choose another --run-id or leave it out"
        ) from None
    set_weights(model, below(MODEL, state))
    set_moments(model, optimizer, below(OPTIMIZER, state))
    if mine in state:
        set_random_state(state[mine])
    return below(BEST, state)
