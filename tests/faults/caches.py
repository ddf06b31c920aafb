"""What the faults of the shards' cache share: data, reader processes, and small or forbidden disks."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.data_sets import write_blocks

ROOT = Path(__file__).parents[2]
SHARDS, ROWS = 12, 400
"""Of the data set: each shard has ROWS blocks of 129 tokens, about 100 kB that do not compress."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """A data set of equal shards."""

    uri: str
    """Its folder."""
    names: tuple[str, ...]
    """Its shards' hashes, which are their names in a cache."""
    shard_bytes: int
    """Size of the largest shard."""


def make_data(folder: Path) -> Data:
    """Write the data set."""
    index = write_blocks(folder / "data", SHARDS * ROWS, per_shard=ROWS, block=128)
    shards = index.splits["train"].shards
    names = tuple(shard.sha256 for shard in shards)
    return Data(uri=str(folder / "data"), names=names, shard_bytes=max(shard.bytes for shard in shards))


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a reader process said."""

    hashes: set[str]
    """Of what each pass gave: one where all passes gave the same."""
    fetched: list[str]
    """Shards that it read from the source."""
    said: list[str] = field(default_factory=list)
    """Lines on stderr."""


def start_reader(
    data: Data, cache_folder: Path, *, limit: int = 1 << 30, passes: int = 1, within: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """Start a reader and return it once it waits for the word to begin."""
    words = [sys.executable, "-m", "tests.faults.cache_reader", data.uri, str(cache_folder), str(limit)]
    process = subprocess.Popen(
        [*within, *words, str(passes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def begin(*readers: subprocess.Popen[str]) -> None:
    """Let readers begin, as close together as can be."""
    for reader in readers:
        assert reader.stdin
        reader.stdin.write("\n")
        reader.stdin.flush()


def reading(process: subprocess.Popen[str]) -> Reading:
    """Wait for a reader and return what it said; it must not have failed."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    facts = json.loads(out.splitlines()[-1])
    return Reading(hashes=set(facts["hashes"]), fetched=facts["fetched"], said=err.splitlines())


def read_once(
    data: Data, cache_folder: Path, *, limit: int = 1 << 30, passes: int = 1, within: Sequence[str] = ()
) -> Reading:
    """Read by a process of its own."""
    process = start_reader(data, cache_folder, limit=limit, passes=passes, within=within)
    begin(process)
    return reading(process)


def held_bytes(cache_folder: Path) -> int:
    """Return the size of all that lies in a cache folder, at a moment at which nobody writes."""
    if not (cache_folder / ".lock").exists():
        return 0
    with (cache_folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return sum(path.stat().st_size for path in cache_folder.iterdir())
