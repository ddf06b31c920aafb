"""The training stream: endless, shuffled, resumable, and the same for any number of ranks."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_code.data.reader import ShardReader
from model_code.data.shards import Array, Batch, Columns, concatenate, join_batches, take
from model_code.errors import InputError

POOL_BYTES = 256 << 20
"""Default limit of what is shuffled at once, decoded (256 MiB)."""


@dataclass(frozen=True)
class _Pool:
    """Some shards in memory and the order in which one epoch reads their rows."""

    key: tuple[int, int]
    shards: tuple[int, ...]
    columns: Columns
    order: Array


class TrainStream(Iterator[Batch]):
    """An endless stream of this rank's part of each global batch.

    Order: an epoch shuffles its shards, groups them into pools of at most `pool_bytes`, and shuffles the rows of
    each pool (so a data set below that size is shuffled as a whole). It depends on data, seed, epoch and
    `pool_bytes` only: the stream of global batches is the same for every number of ranks. Each sample comes once
    an epoch; a batch may straddle two epochs. The pool after this one is decoded while this one is read, so memory
    stays below two pools.
    """

    def __init__(
        self,
        reader: ShardReader,
        *,
        global_batch: int,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
        pool_bytes: int = POOL_BYTES,
    ) -> None:
        """Start at the first batch of epoch 0.

        Raises:
            InputError: `global_batch` cannot be shared equally among the ranks.
        """
        if global_batch < 1 or global_batch % world_size:
            raise InputError(
                f"train.global_batch must be a multiple of the {world_size} processes, got {global_batch}; "
                f"set train.global_batch={max(1, round(global_batch / world_size)) * world_size}"
            )
        self._reader = reader
        self._global_batch = global_batch
        self._rank = rank
        self._share = global_batch // world_size
        self._seed = seed
        self._pool_bytes = pool_bytes
        self.digest = 0
        """Sum, modulo 2**64, of a hash of (place in the endless stream, id) over the samples that this rank was given.
        The ranks' sums add up to the same number for every number of ranks, unless one is lost or comes twice."""
        self._position = 0
        self._step = 0
        self._plan_of: tuple[int, list[tuple[int, ...]], list[int]] | None = None
        self._pool: _Pool | None = None
        self._ahead: tuple[tuple[int, int], Future[_Pool]] | None = None
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="pools")

    @property
    def steps_per_epoch(self) -> int:
        """Global batches that cover the split once (the last one may reach into the next epoch)."""
        return -(-len(self._reader) // self._global_batch)

    @property
    def epoch(self) -> int:
        """Whole passes over the split so far."""
        return self._position // len(self._reader)

    def state_dict(self) -> dict[str, Any]:
        """Return where the stream stands: the same on every rank, loadable at any number of ranks."""
        return {
            "version": self._reader.index.version,
            "split": self._reader.name,
            "seed": self._seed,
            "pool_bytes": self._pool_bytes,
            "position": self._position,
            "epoch": self.epoch,
            "step": self._step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another stream over the same data stood.

        Raises:
            InputError: that stream read other data or in another order.
        """
        mine = self.state_dict()
        for name in ("version", "split", "seed", "pool_bytes"):
            if state[name] != mine[name]:
                raise InputError(
                    f"data stream's {name} must be {mine[name]} to resume, the checkpoint has {state[name]}; "
                    "start a new run or restore the data"
                )
        self._position, self._step = int(state["position"]), int(state["step"])

    def __next__(self) -> Batch:
        position, count = self._position + self._rank * self._share, self._share
        parts = []
        while count:
            part = self._rows(position, count)
            parts.append(part)
            self.digest = (self.digest + _digest(position, part["id"])) % (1 << 64)
            position, count = position + len(part["id"]), count - len(part["id"])
        self._position += self._global_batch
        self._step += 1
        return join_batches(parts)

    def close(self) -> None:
        """Stop decoding ahead."""
        self._threads.shutdown(cancel_futures=True)

    def _rows(self, position: int, count: int) -> Batch:
        """Return up to `count` rows from a place in the endless stream, as far as one pool goes."""
        epoch, place = divmod(position, len(self._reader))
        _, starts = self._plan(epoch)
        number = bisect_right(starts, place) - 1
        pool = self._open(epoch, number)
        row = place - starts[number]
        return take(pool.columns, pool.order[row : row + count])

    def _plan(self, epoch: int) -> tuple[list[tuple[int, ...]], list[int]]:
        """Return an epoch's pools (numbers of their shards) and where in the epoch each begins."""
        if self._plan_of is None or self._plan_of[0] != epoch:
            shards = self._reader.split.shards
            pools: list[list[int]] = []
            room = 0
            for number in np.random.default_rng([self._seed, epoch]).permutation(len(shards)).tolist():
                if shards[number].raw_bytes > room:
                    pools.append([])
                    room = self._pool_bytes
                pools[-1].append(number)
                room -= shards[number].raw_bytes
            sizes = [sum(shards[number].samples for number in pool) for pool in pools]
            starts = [0, *itertools.accumulate(sizes)][:-1]
            # Sorted, so that a data set of one pool has the same pool in every epoch and is decoded once.
            self._plan_of = (epoch, [tuple(sorted(pool)) for pool in pools], starts)
        return self._plan_of[1], self._plan_of[2]

    def _open(self, epoch: int, number: int) -> _Pool:
        key = (epoch, number)
        if self._pool is None or self._pool.key != key:
            ahead = self._ahead
            known = ahead[1] if ahead and ahead[0] == key else None
            pool = known.result() if known else self._load(key, self._plan(epoch)[0][number], self._pool)
            last = number + 1 == len(self._plan(epoch)[0])
            after = (epoch + 1, 0) if last else (epoch, number + 1)
            wanted = self._plan(after[0])[0][after[1]]
            self._pool = pool
            self._ahead = (after, self._threads.submit(self._load, after, wanted, pool))
        return self._pool

    def _load(self, key: tuple[int, int], shards: tuple[int, ...], held: _Pool | None) -> _Pool:
        if held is not None and held.shards == shards:
            columns = held.columns
        else:
            columns = concatenate([self._reader.decoded(number) for number in shards])
        order = np.random.default_rng([self._seed, *key, 1]).permutation(len(columns["id"]))
        return _Pool(key, shards, columns, order)


def _digest(position: int, ids: Array) -> int:
    """Return the sum of a hash of each id and its place: splitmix64, of the numbers that both make."""
    mixed = np.arange(position, position + len(ids), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ ids.astype(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return int((mixed ^ (mixed >> np.uint64(31))).sum(dtype=np.uint64))
