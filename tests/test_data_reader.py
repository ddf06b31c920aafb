"""A reader gives each sample once, from a cache that stays small, and names the shard that is damaged."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from model_code import store
from model_code.data.read import ShardReader, read_all
from model_code.errors import InputError
from tests.data_sets import ids_of, write_blocks


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 60])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_ranks_share_a_split_without_loss(tmp_path: Path, world_size: int, size: int) -> None:
    """The ranks' batches put together are the split, in order, each sample once."""
    write_blocks(tmp_path, 50, per_shard=12)
    reader = ShardReader(str(tmp_path), "train")
    ids: list[int] = []
    for rank in range(world_size):
        batches = list(reader.batches(size, rank=rank, world_size=world_size))
        assert all(len(batch["id"]) == size for batch in batches[:-1])
        ids += [number for batch in batches for number in batch["id"].tolist()]
    assert ids == list(range(50))


def test_a_whole_split_is_one_batch(tmp_path: Path) -> None:
    """`read_all` gives every row of every shard."""
    write_blocks(tmp_path, 50, per_shard=12)
    whole = read_all(str(tmp_path), "train")
    assert whole["tokens"].shape == (50, 9)
    assert whole["id"].tolist() == list(range(50))


def test_a_batch_may_be_changed_without_changing_the_data(tmp_path: Path) -> None:
    """Augmentation in place must not reach the shards that are kept in memory."""
    write_blocks(tmp_path, 20, per_shard=12)
    reader = ShardReader(str(tmp_path), "train")
    before = next(reader.batches(4))
    next(reader.batches(4))["tokens"][:] = 0
    assert (next(reader.batches(4))["tokens"] == before["tokens"]).all()


@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
def test_a_damaged_shard_is_named(tmp_path: Path, damage: str) -> None:
    """One flipped bit, a shortened or a missing file: the error names the very shard."""
    write_blocks(tmp_path, 50, per_shard=12)
    shard = tmp_path / "train-00002.zst"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "delete":
        shard.unlink()
    else:
        shard.write_bytes(content if damage == "flip" else content[:-5])
    with pytest.raises(InputError, match=r"train-00002\.zst"):
        list(ShardReader(str(tmp_path), "train").batches(10))


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    """The nearest name is offered."""
    write_blocks(tmp_path, 5, per_shard=5)
    with pytest.raises(InputError, match="did you mean `train`"):
        ShardReader(str(tmp_path), "training")


def test_the_disk_cache_keeps_its_limit_and_the_latest(tmp_path: Path) -> None:
    """With room for two shards, the two used last are on the disk at every moment, and the data is right."""
    index = write_blocks(tmp_path / "data", 50, per_shard=10)
    shards = index.splits["train"].shards
    limit = 2 * max(shard.bytes for shard in shards)
    cache = tmp_path / "cache"
    reader = ShardReader(str(tmp_path / "data"), "train", cache_dir=cache, cache_bytes=limit, memory_bytes=1)
    for clock, number in enumerate([0, 1, 0, 2, 3, 4, 0, 1]):
        assert reader.columns(number)["id"][0] == 10 * number
        os.utime(cache / f"{shards[number].sha256}.zst", ns=(clock, clock))  # a clock too coarse would tie
        held = list(cache.glob("*.zst"))
        assert sum(path.stat().st_size for path in held) <= limit
        if (clock, number) == (3, 2):
            assert {path.stem for path in held} == {shards[0].sha256, shards[2].sha256}


def test_the_cache_serves_when_the_source_is_gone(tmp_path: Path) -> None:
    """A second pass reads nothing from the source."""
    write_blocks(tmp_path / "data", 50, per_shard=10)
    reader = ShardReader(str(tmp_path / "data"), "train", cache_dir=tmp_path / "cache", memory_bytes=1)
    first = ids_of(reader.batches(10))
    for path in (tmp_path / "data").glob("*.zst"):
        path.unlink()
    assert (ids_of(reader.batches(10)) == first).all()


def test_a_shard_larger_than_the_cache_is_read_all_the_same(tmp_path: Path) -> None:
    """Nothing is kept then, and nothing fails."""
    write_blocks(tmp_path / "data", 50, per_shard=10)
    reader = ShardReader(str(tmp_path / "data"), "train", cache_dir=tmp_path / "cache", cache_bytes=10)
    assert ids_of(reader.batches(10)).tolist() == list(range(50))
    assert list((tmp_path / "cache").glob("*.zst")) == []


def test_a_damaged_copy_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    """The original decides; only when that is damaged too, the shard is refused and not kept."""
    write_blocks(tmp_path / "data", 10, per_shard=10)

    def read() -> list[int]:
        reader = ShardReader(str(tmp_path / "data"), "train", cache_dir=tmp_path / "cache")
        return [int(number) for number in ids_of(reader.batches(10))]

    read()
    copy = next((tmp_path / "cache").glob("*.zst"))
    copy.write_bytes(b"rubbish")
    assert read() == list(range(10))
    copy.write_bytes(b"rubbish")
    (tmp_path / "data" / "train-00000.zst").write_bytes(b"rubbish too")
    with pytest.raises(InputError, match=r"train-00000\.zst"):
        read()
    assert list((tmp_path / "cache").glob("*.zst")) == []


def test_decoded_shards_stay_in_memory_up_to_the_limit(tmp_path: Path) -> None:
    """A small split is decoded once; one above the limit is not held whole."""
    index = write_blocks(tmp_path, 50, per_shard=10)
    wide = ShardReader(str(tmp_path), "train")
    assert wide.columns(0) is wide.columns(0)
    raw = index.splits["train"].shards[0].raw_bytes
    narrow = ShardReader(str(tmp_path), "train", memory_bytes=2 * raw)
    first = narrow.columns(0)
    narrow.columns(1)
    assert narrow.columns(0) is first
    narrow.columns(2)
    narrow.columns(3)
    assert narrow.columns(0) is not first


def test_remote_shards_are_read_through_the_cache(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From S3 every sample arrives, and the user's cache folder holds the shards afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    uri = store.join(bucket, "blocks")
    index = write_blocks(uri, 30, per_shard=10)
    whole = read_all(uri, "train")
    assert np.array_equal(whole["id"], np.arange(30))
    held = {path.stem for path in (tmp_path / "skylift" / "shards").glob("*.zst")}
    assert held == {shard.sha256 for shard in index.splits["train"].shards}
