"""Small data sets in the format of `model_code/data`, made without a source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from model_code import store
from model_code.data.index import DataIndex, Split, TokenFacts, to_json
from model_code.data.shards import Array, Batch, Columns, encode


def write_blocks(
    uri: str | Path, samples: int, *, per_shard: int, block: int = 8, held_out: int = 3
) -> DataIndex:
    """Write `samples` random blocks as the train split, with ids 0, 1, 2, … in order, and return the index."""
    random = np.random.default_rng(0)
    splits = {}
    for name, size in (("train", samples), ("validation", held_out), ("test", held_out)):
        shards = []
        for number, first in enumerate(range(0, size, per_shard)):
            rows = min(per_shard, size - first)
            columns: Columns = {
                "tokens": random.integers(0, 256, (rows, block + 1)).astype(np.uint16),
                "id": np.arange(first, first + rows, dtype=np.uint64),
            }
            content, shard = encode(columns, f"{name}-{number:05d}.zst")
            store.write(store.join(str(uri), shard.file), content)
            shards.append(shard)
        splits[name] = Split(samples=size, shards=tuple(shards))
    index = DataIndex(
        kind="tokens",
        dataset="blocks",
        version=hashlib.sha256(f"{samples} {per_shard} {block}".encode()).hexdigest()[:16],
        classes=(),
        splits=splits,
        tokens=TokenFacts(vocabulary=256, block=block, tokenizer_sha256="0" * 64),
    )
    store.write(store.join(str(uri), "index.json"), to_json(index).encode())
    return index


def ids_of(batches: Iterable[Batch]) -> Array:
    """Return the ids of batches, in order."""
    return np.concatenate([batch["id"] for batch in batches])
