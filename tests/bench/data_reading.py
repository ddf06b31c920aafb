"""How fast batches come: our shuffled stream of compressed shards against a plain numpy memmap."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from model_code.data.read import ShardReader, TrainStream
from tests.data_sets import write_blocks

SAMPLES = 200_000
TOKENS = 128
BATCH = 256
EPOCHS = 3


def measure() -> dict[str, float]:
    """Return samples/s of 128 uint16 tokens in batches of 256 (best of 3 epochs, page cache warm), and MB on disk."""
    with tempfile.TemporaryDirectory(prefix="skylift-bench-") as folder:
        index = write_blocks(folder, SAMPLES, per_shard=65_000, block=TOKENS - 1)
        plain = np.memmap(Path(folder) / "plain.bin", np.uint16, "w+", shape=(SAMPLES, TOKENS))
        reader = ShardReader(folder, "train")
        for number, first in enumerate(range(0, SAMPLES, 65_000)):
            part = reader.decoded(number)["tokens"]
            plain[first : first + len(part)] = part
        plain.flush()
        whole = TrainStream(reader, global_batch=BATCH)
        pooled = TrainStream(reader, global_batch=BATCH, pool_bytes=20 << 20)
        orders = [np.random.default_rng(epoch).permutation(SAMPLES) for epoch in range(EPOCHS)]
        steps = SAMPLES // BATCH
        memmap = (np.array(plain[order[i * BATCH :][:BATCH]]) for order in orders for i in range(steps))
        rates = {
            "memmap_samples_per_s": _rate(lambda: next(memmap), steps),
            "stream_samples_per_s": _rate(lambda: next(whole), steps),
            "stream_in_pools_samples_per_s": _rate(lambda: next(pooled), steps),
            "evaluation_samples_per_s": _rate_of_batches(reader),
        }
        whole.close()
        pooled.close()
        sizes = {"raw_megabytes": index.raw_bytes / 1e6, "shards_megabytes": index.bytes / 1e6}
    return {name: round(value, 1) for name, value in {**rates, **sizes}.items()}


def _rate(step: Callable[[], object], steps: int) -> float:
    best = 0.0
    for _ in range(EPOCHS):
        started = time.perf_counter()
        for _ in range(steps):
            step()
        best = max(best, steps * BATCH / (time.perf_counter() - started))
    return best


def _rate_of_batches(reader: ShardReader) -> float:
    best = 0.0
    for _ in range(EPOCHS):
        started = time.perf_counter()
        read = sum(len(batch["id"]) for batch in reader.batches(BATCH))
        best = max(best, read / (time.perf_counter() - started))
    return best


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
