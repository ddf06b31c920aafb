"""The cache of shards under fire: two processes, killed ones, full and forbidden disks, damaged files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from model_code.data.cache import DiskCache
from model_code.data.index import Shard
from model_code.data.read import ShardReader
from model_code.errors import InputError
from tests.data_sets import ids_of, write_blocks
from tests.faults.fault import Fault
from tests.faults.together_cache import FAULTS


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.quick], ids=lambda fault: fault.name)
def test_fault(fault: Fault, tmp_path: Path) -> None:
    """One injection keeps its promise."""
    if reason := fault.why_not():
        pytest.skip(reason)
    fault.inject(tmp_path)


def test_a_removed_folder_costs_no_sample(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody clears the cache while it is in use: reading goes on, which is said once."""
    write_blocks(tmp_path / "data", 50, per_shard=10)
    reader = ShardReader(str(tmp_path / "data"), "train", cache_dir=tmp_path / "cache", memory_bytes=1)
    shutil.rmtree(tmp_path / "cache")
    assert ids_of(reader.batches(10)).tolist() == list(range(50))
    assert caplog.text.count("reading goes on from the source") == 1


def test_what_is_no_shard_never_enters_the_cache(tmp_path: Path) -> None:
    """A damaged source is named, and nothing of it is kept for others to find."""
    write_blocks(tmp_path / "data", 10, per_shard=10)
    (tmp_path / "data" / "train-00000.zst").write_bytes(b"rubbish")
    reader = ShardReader(str(tmp_path / "data"), "train", cache_dir=tmp_path / "cache")
    with pytest.raises(InputError, match=r"train-00000\.zst"):
        reader.columns(0)
    assert list((tmp_path / "cache").glob("*.zst")) == []


def test_a_copy_that_another_process_repaired_is_not_fetched_again(tmp_path: Path) -> None:
    """Who read a damaged copy looks again under the lock: the source is not asked twice."""
    index = write_blocks(tmp_path / "data", 10, per_shard=10)
    shard: Shard = index.splits["train"].shards[0]
    source = tmp_path / "data" / shard.file
    cache = DiskCache(tmp_path / "cache", 1 << 20)
    content = cache.read(str(source), shard)
    source.unlink()
    assert cache.reread(str(source), shard) == content
