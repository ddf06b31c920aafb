"""The training stream: shuffled, complete, resumable, and the same for any number of ranks."""

from __future__ import annotations

import hashlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from model_code.data.read import Batch, ShardReader, TrainStream
from model_code.data.shards import Array
from model_code.errors import InputError
from tests.data_sets import ids_of, write_blocks

SAMPLES = 101
"""A prime: no batch size fits an epoch."""


@pytest.fixture
def data(tmp_path: Path) -> str:
    """101 samples in 9 shards."""
    write_blocks(tmp_path, SAMPLES, per_shard=12)
    return str(tmp_path)


def streams(
    data: str, world_size: int, *, batch: int = 12, seed: int = 5, pool: int = 1 << 20
) -> list[TrainStream]:
    """Return one stream a rank."""
    reader = ShardReader(data, "train")
    return [
        TrainStream(reader, global_batch=batch, rank=rank, world_size=world_size, seed=seed, pool_bytes=pool)
        for rank in range(world_size)
    ]


def global_batch(ranks: list[TrainStream]) -> Array:
    """Return the ids of the next global batch."""
    return ids_of(next(stream) for stream in ranks)


def stream_hash(ranks: list[TrainStream], steps: int) -> str:
    """Return the hash of the next global batches' ids and tokens, in order."""
    digest = hashlib.sha256()
    for _ in range(steps):
        batches = [next(stream) for stream in ranks]
        digest.update(ids_of(batches).tobytes())
        digest.update(np.concatenate([batch["tokens"] for batch in batches]).tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("pool", [1, 2000, 1 << 20])
def test_the_global_stream_is_the_same_for_every_number_of_ranks(data: str, pool: int) -> None:
    """1, 2, 3 and 4 ranks read the same samples in the same order over several epochs, whatever is pooled."""
    hashes = {stream_hash(streams(data, ranks, pool=pool), 40) for ranks in (1, 2, 3, 4)}
    assert len(hashes) == 1


def test_the_digest_tells_which_samples_came(data: str) -> None:
    """The ranks' digests add up to one number for any number of ranks, to another if a batch is lost or doubled."""

    def digest(world_size: int, steps: int) -> int:
        ranks = streams(data, world_size)
        for _ in range(steps):
            global_batch(ranks)
        return sum(stream.digest for stream in ranks) % (1 << 64)

    assert len({digest(ranks, 40) for ranks in (1, 2, 3, 4)}) == 1
    stream = streams(data, 1)[0]
    seen = {stream.digest}
    for steps in range(1, 30):
        next(stream)
        assert stream.digest == digest(1, steps)
        seen.add(stream.digest)
    assert len(seen) == 30
    first, second = streams(data, 1)[0], streams(data, 1)[0]
    next(first)
    state = second.state_dict()
    for _ in range(2):  # the same batch twice
        second.load_state_dict(state)
        next(second)
    assert second.digest != first.digest


@pytest.mark.parametrize("pool", [1, 2000, 1 << 20])
def test_each_sample_comes_once_an_epoch(data: str, pool: int) -> None:
    """Any 101 consecutive samples from an epoch's start are all samples, and each epoch has an order of its own."""
    ids = ids_of(islice(streams(data, 1, pool=pool)[0], 40))
    epochs = [ids[start : start + SAMPLES] for start in range(0, len(ids) - SAMPLES, SAMPLES)]
    assert len(epochs) == 4
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(SAMPLES))
    assert len({epoch.tobytes() for epoch in epochs}) == 4


def test_samples_of_different_shards_are_mixed(data: str) -> None:
    """A data set that fits a pool is shuffled as a whole, not shard by shard."""
    first = ids_of(islice(streams(data, 1)[0], 1))
    assert len({number // 12 for number in first.tolist()}) > 3


def test_the_seed_decides_the_order(data: str) -> None:
    """The same seed gives the same stream, another seed another one."""
    assert stream_hash(streams(data, 1), 10) == stream_hash(streams(data, 1), 10)
    assert stream_hash(streams(data, 1), 10) != stream_hash(streams(data, 1, seed=6), 10)


@pytest.mark.parametrize("before", [1, 2, 4])
@pytest.mark.parametrize("after", [1, 2, 4])
@pytest.mark.parametrize("pool", [2000, 1 << 20])
def test_a_stream_resumes_anywhere_at_another_number_of_ranks(
    data: str, before: int, after: int, pool: int
) -> None:
    """From the middle of an epoch, a new set of ranks goes on with exactly the samples that were due."""
    undisturbed = streams(data, before, pool=pool)
    for _ in range(13):  # 156 samples: the middle of the second epoch
        global_batch(undisturbed)
    states = [stream.state_dict() for stream in undisturbed]
    assert all(state == states[0] for state in states)
    assert states[0]["epoch"] == 1
    assert states[0]["step"] == 13
    resumed = streams(data, after, pool=pool)
    for stream in resumed:
        stream.load_state_dict(states[0])
    assert stream_hash(resumed, 30) == stream_hash(undisturbed, 30)


def test_a_stream_resumes_where_another_one_reads_on(data: str) -> None:
    """Loading a state also turns back a stream that is already further, and keeps its count of steps."""
    stream = streams(data, 1)[0]
    state = stream.state_dict()
    first = next(stream)["id"]
    for _ in range(20):
        next(stream)
    stream.load_state_dict(state)
    assert (next(stream)["id"] == first).all()
    assert stream.state_dict()["step"] == 1


def test_a_split_smaller_than_a_batch_still_fills_it(tmp_path: Path) -> None:
    """Five samples fill batches of 16 by going round, each as often as the others."""
    write_blocks(tmp_path, 5, per_shard=2)
    ranks = streams(str(tmp_path), 2, batch=16)
    assert ranks[0].steps_per_epoch == 1
    ids = np.concatenate([global_batch(ranks) for _ in range(5)])
    assert np.bincount(ids.astype(np.int64)).tolist() == [16] * 5


def test_steps_of_an_epoch_cover_it(data: str) -> None:
    """101 samples take 9 batches of 12."""
    assert streams(data, 1)[0].steps_per_epoch == 9


def test_a_batch_that_ranks_cannot_share_is_refused(data: str) -> None:
    """The message names the setting and a value that fits."""
    with pytest.raises(InputError, match=r"multiple of the 3 processes, got 16; set train\.global_batch=15"):
        streams(data, 3, batch=16)


def test_a_state_of_other_data_or_another_order_is_refused(data: str) -> None:
    """Resuming on other data, with another seed or in other pools would not be the same run."""
    stream = streams(data, 1)[0]
    for key, value in {"version": "other", "seed": 6, "pool_bytes": 7, "split": "test"}.items():
        with pytest.raises(InputError, match=key):
            stream.load_state_dict({**stream.state_dict(), key: value})


def test_a_damaged_shard_is_named_even_when_read_ahead(data: str) -> None:
    """The error of the thread that reads ahead arrives where the batch is asked for."""
    shard = Path(data) / "train-00004.zst"
    content = bytearray(shard.read_bytes())
    content[-3] ^= 64
    shard.write_bytes(content)
    stream = streams(data, 1, pool=1)[0]

    def epoch() -> list[Batch]:
        return [next(stream) for _ in range(stream.steps_per_epoch)]

    with pytest.raises(InputError, match=r"train-00004\.zst"):
        epoch()


def test_memory_holds_two_pools_at_most(data: str) -> None:
    """What a stream holds while it reads through many pools does not grow with the data set."""
    stream = streams(data, 1, pool=1)[0]
    largest = 0
    for _ in range(60):
        next(stream)
        held = [stream._pool, stream._ahead[1].result() if stream._ahead else None]
        largest = max(largest, sum(len(pool.columns["id"]) for pool in held if pool))
    assert largest <= 24
