"""Batch prediction by one rank and by two, side by side: `uv run python -m tests.bench.batch_prediction`.

Prints one JSON object: samples/s of each (best of the rounds, taken in turn; without the start of Python and torch)
and their ratio. Idle cores only: a neighbour that computes takes the second rank's core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from model_code import store
from model_code.data.index import Split, load_index, to_json
from model_code.data.read import ShardReader
from model_code.data.shards import concatenate, encode
from tests import serving, small_data

ROUNDS = 3
TIMES = 8
REPEATS = 4000
"""Of the network's product: some milliseconds a batch, as a small transformer takes."""


def measure() -> dict[str, float]:
    """Return samples/s of one rank and of two, and their ratio; both must write the same bytes."""
    with tempfile.TemporaryDirectory(prefix="skylift-bench-") as temporary:
        folder = Path(temporary)
        signer = serving.new_signer()
        artifact = serving.write_artifact(folder / "made" / "artifact", repeats=REPEATS)
        release = serving.publish(folder / "models", artifact, signer)
        words = ["--release", str(release), "--public-key", str(signer.write_public(folder / "key.pem"))]
        words += ["--data", _data(folder), "--split", "train", "--device", "cpu"]
        best = {1: 0.0, 2: 0.0}
        digests = set()
        for number in range(ROUNDS):
            for ranks in best:
                result = _run(ranks, [*words, "--range", "64", "--out", str(folder / f"{number}-{ranks}")])
                best[ranks] = max(best[ranks], result["samples"] / result["seconds"])
                digests.add(result["sha256"])
        assert len(digests) == 1, "one rank and two wrote other bytes"
    return {
        "one_rank_samples_per_s": round(best[1], 1),
        "two_ranks_samples_per_s": round(best[2], 1),
        "ratio": round(best[2] / best[1], 2),
        "load_average": os.getloadavg()[0],
    }


def _data(folder: Path) -> str:
    """Write the digits' train split `TIMES` over and return its URI: loading the replicas must not count for much."""
    digits = small_data.digits(folder / "digits")
    index = load_index(digits)
    content, shard = encode(concatenate([ShardReader(digits, "train").columns(0)] * TIMES), "train.zst")
    uri = (folder / "data").as_uri()
    store.write(store.join(uri, shard.file), content)
    split = Split(samples=shard.samples, shards=(shard,))
    store.write(
        store.join(uri, "index.json"),
        to_json(replace(index, splits=dict.fromkeys(index.splits, split))).encode(),
    )
    return uri


def _run(ranks: int, words: list[str]) -> dict[str, Any]:
    torchrun = ["model_code.launch", "--standalone", "--nproc-per-node", str(ranks), "-m"]
    done = subprocess.run(
        [sys.executable, "-m", *torchrun, "model_code.predict", *words],
        stdout=subprocess.PIPE,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
