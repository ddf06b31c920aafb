"""DCP's storage for a folder behind a URI: each rank writes its own safetensors, the coordinator the manifest, last.

DCP's usual storage pickles its `.metadata` and each tensor. Its safetensors storage (`hf_storage`) needs no pickle:
shape, type and place of each shard stand in the header of the file that holds it. So a checkpoint can be opened
without running what it says, and DCP still reshards it for any number of ranks.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from obstore.exceptions import BaseError
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import Metadata, MetadataIndex
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner
from torch.distributed.checkpoint.storage import WriteResult
from torch.futures import Future

from model_code import store
from model_code.checkpoint.files import PROGRESS, Files, drop, facts, write_manifest
from model_code.checkpoint.state import BEST

PART_BYTES = 1 << 30
"""About the most that one rank writes into one file (1 GiB): a file is put together in memory."""


class Writer(HuggingFaceStorageWriter):
    """Writes one checkpoint. On a disk straight into its folder, for a bucket through a temporary one."""

    def __init__(self, folder: str, progress: dict[str, Any]) -> None:
        """Take the checkpoint's URI and what its `progress.json` says."""
        local = store.local_path(folder)
        self._folder, self._progress = folder, progress
        self._staging = None if local else Path(tempfile.gettempdir(), f"skylift-checkpoint-{uuid.uuid4()}")
        super().__init__(path=str(local or self._staging), save_distributed=True)

    def stage(self, state_dict: dict[str, Any]) -> dict[str, Any]:
        """Copy to the CPU what the next step changes; the best weights are a copy already, and nobody changes it."""
        best = {name: tensor for name, tensor in state_dict.items() if name.startswith(BEST)}
        live = {name: tensor for name, tensor in state_dict.items() if name not in best}
        return {**super().stage(live), **best}

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """On the coordinator, before anything is written: clear what an interrupted save left in this place."""
        with suppress(OSError, BaseError):  # what stays does not match the new manifest, or is not in it
            drop(self._folder)
        self.fqn_to_index_mapping = _parts(plans)
        return list(super().prepare_global_plan(plans))

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Write this rank's files; what the coordinator hears of each is its size and SHA-256."""
        folder = Path(self.path)
        try:
            folder.mkdir(parents=True, exist_ok=True)  # again: the coordinator has cleared it
            written = super().write_data(plan, planner).value()
            names = sorted({one.storage_data.relative_path for one in written})
            results = []
            for name in names:
                known = facts(folder / name)
                if self._staging:
                    store.upload(folder / name, store.join(self._folder, name))
                results.append(
                    WriteResult(index=MetadataIndex(name), size_in_bytes=known["bytes"], storage_data=known)
                )
        finally:
            if self._staging:
                shutil.rmtree(self._staging, ignore_errors=True)
        done: Future[list[WriteResult]] = Future()
        done.set_result(results)
        return done

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:  # noqa: ARG002 - DCP's signature
        """On the coordinator, after all have written: say where the run stands, then that all is there."""
        files: Files = {one.index.fqn: one.storage_data for rank in results for one in rank}
        content = json.dumps(self._progress, indent=2).encode()
        files[PROGRESS] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        store.write(store.join(self._folder, PROGRESS), content)
        write_manifest(self._folder, files)


def _parts(plans: list[SavePlan]) -> dict[str, int]:
    """Return the number of the file, from 1, for each tensor; no rank writes much more than PART_BYTES into one."""
    sizes: dict[str, int] = {}
    for plan in plans:
        for item in plan.items:
            data = item.tensor_data
            size = data.chunk.sizes.numel() * data.properties.dtype.itemsize if data else 0
            sizes[item.index.fqn] = max(sizes.get(item.index.fqn, 0), size)
    parts, part, room = {}, 1, PART_BYTES
    for name, size in sizes.items():
        if size > room and room < PART_BYTES:
            part, room = part + 1, PART_BYTES
        parts[name], room = part, room - size
    return parts
