"""One split of a data set in its order: for evaluations, and as what a `TrainStream` shuffles."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from model_code import store
from model_code.data.cache import DiskCache, default_folder
from model_code.data.index import DataIndex, Split, load_index
from model_code.data.shards import Batch, Columns, decode, join_batches, take
from model_code.errors import InputError, unknown_key

CACHE_BYTES = 20 << 30
"""Default limit of the disk cache (20 GiB)."""
MEMORY_BYTES = 256 << 20
"""Default limit of decoded shards kept in memory (256 MiB)."""


class ShardReader:
    """One split of a data set, shard by shard.

    A shard's SHA-256 is verified each time it is decoded. A local data set is read where it lies unless a cache
    folder is named; a remote one always goes through the cache.
    """

    def __init__(
        self,
        uri: str,
        split: str,
        *,
        cache_dir: Path | None = None,
        cache_bytes: int = CACHE_BYTES,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        """Open the split.

        Args:
            uri: the folder of `index.json`.
            split: `train`, `validation` or `test`.
            cache_dir: folder of the disk cache; None: none for local data, the user's for remote data.
            cache_bytes: limit of that folder.
            memory_bytes: limit of decoded shards kept in memory.

        Raises:
            InputError: no valid data set there, an unknown split.
        """
        self.uri = uri
        self.name = split
        self.index: DataIndex = load_index(uri)
        if split not in self.index.splits:
            raise unknown_key("split", split, self.index.splits)
        self.split: Split = self.index.splits[split]
        if cache_dir is None and store.local_path(uri) is None:
            cache_dir = default_folder()
        self.cache = DiskCache(cache_dir, cache_bytes) if cache_dir else None
        self._memory_bytes = memory_bytes
        self._decoded: OrderedDict[int, Columns] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return self.split.samples

    def columns(self, number: int) -> Columns:
        """Return a shard's columns, from memory where it was decoded lately. They are shared: do not write into them.

        Raises:
            InputError: the shard is missing or damaged; the message names it.
        """
        with self._lock:
            if number in self._decoded:
                self._decoded.move_to_end(number)
                return self._decoded[number]
        columns = self.decoded(number)
        with self._lock:
            self._decoded[number] = columns
            while sum(self.split.shards[n].raw_bytes for n in self._decoded) > self._memory_bytes:
                self._decoded.popitem(last=False)
        return columns

    def decoded(self, number: int) -> Columns:
        """Return a shard's columns, decoded now and not kept."""
        shard = self.split.shards[number]
        where = store.join(self.uri, shard.file)
        try:
            if self.cache is None:
                return decode(store.read(where), shard, where)
            try:
                return decode(self.cache.read(where, shard), shard, where)
            except InputError:  # a damaged copy in the cache says nothing about the original
                return decode(self.cache.reread(where, shard), shard, where)
        except FileNotFoundError:
            raise InputError(f"shard `{where}` is missing; write the data set again") from None

    def batches(self, size: int, *, rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """Yield this rank's samples once, in the data set's order, `size` at a time (the last may be smaller).

        The ranks' parts are contiguous, differ by at most one sample, and none is dropped or read twice.
        """
        first, last = (len(self) * r // world_size for r in (rank, rank + 1))
        return self.between(first, last, size)

    def between(self, first: int, last: int, size: int) -> Iterator[Batch]:
        """Yield the samples from `first` up to, not including, `last`, `size` at a time (the last may be smaller)."""
        starts = [0, *itertools.accumulate(shard.samples for shard in self.split.shards)]
        wanted = [n for n in range(len(self.split.shards)) if starts[n] < last and starts[n + 1] > first]
        with ThreadPoolExecutor(1, thread_name_prefix="shards") as ahead:
            following = ahead.submit(self.columns, wanted[0]) if wanted else None
            held: list[Batch] = []
            for at, number in enumerate(wanted):
                columns = following.result() if following else self.columns(number)
                following = ahead.submit(self.columns, wanted[at + 1]) if at + 1 < len(wanted) else None
                row, end = max(first - starts[number], 0), min(last, starts[number + 1]) - starts[number]
                while row < end:
                    upto = min(end, row + size - sum(len(part["id"]) for part in held))
                    held.append(take(columns, slice(row, upto)))
                    row = upto
                    if sum(len(part["id"]) for part in held) == size:
                        yield join_batches(held)
                        held = []
            if held:
                yield join_batches(held)


def read_all(uri: str, split: str) -> Batch:
    """Return a whole split as one batch, in the data set's order. For splits that fit in memory."""
    reader = ShardReader(uri, split)
    return next(reader.batches(len(reader)))
