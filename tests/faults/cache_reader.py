"""A process that reads a split through a cache and says what it got: `python -m tests.faults.cache_reader …`.

Arguments: URI of the data, cache folder, limit in bytes, passes. It prints `ready`, waits for a line on stdin, and
prints one JSON object: the ids' hash of each pass, and the shards that it fetched from the source.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from model_code import store
from model_code.data.read import ShardReader


def main() -> None:
    """Read, count, report."""
    data, folder, limit, passes = sys.argv[1:]
    fetched: list[str] = []
    read = store.read

    def counted(uri: str) -> bytes:
        if uri.endswith(".zst"):
            fetched.append(uri.rsplit("/", 1)[-1])
        return read(uri)

    store.read = counted
    print("ready", flush=True)
    sys.stdin.readline()
    reader = ShardReader(data, "train", cache_dir=Path(folder), cache_bytes=int(limit), memory_bytes=1)
    hashes = []
    for _ in range(int(passes)):
        digest = hashlib.sha256()
        for batch in reader.batches(100):
            digest.update(batch["id"].tobytes())
            digest.update(batch["tokens"].tobytes())
        hashes.append(digest.hexdigest())
    print(json.dumps({"hashes": hashes, "fetched": fetched}))


if __name__ == "__main__":
    main()
