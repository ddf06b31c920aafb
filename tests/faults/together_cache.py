"""Faults of the cache of shards: two processes at once, killed ones, full and forbidden disks, damaged files."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.caches import (
    ROOT,
    SHARDS,
    Data,
    begin,
    held_bytes,
    make_data,
    read_once,
    reading,
    start_reader,
)
from tests.faults.fault import OWN_MOUNTS, UNPRIVILEGED, Fault, Seen

HOLD_THE_LOCK = """
import signal, sys
from pathlib import Path
from model_code.data.cache import DiskCache
cache = DiskCache(Path(sys.argv[1]), 1 << 30)
with cache._lock():
    (cache.folder / ".half.zst.1.part").write_bytes(bytes(50_000))
    print("held", flush=True)
    signal.pause()
"""


def true_reading(data: Data, folder: Path) -> set[str]:
    """Return what an undisturbed process with a cache of its own reads."""
    return read_once(data, folder / "undisturbed").hashes


def shared_from_the_start(folder: Path) -> Seen:
    """Two processes want all shards at the same moment."""
    data = make_data(folder)
    right = true_reading(data, folder)
    readers = [start_reader(data, folder / "cache") for _ in range(2)]
    begin(*readers)
    one, other = (reading(reader) for reader in readers)
    assert one.hashes == other.hashes == right
    fetched = sorted(one.fetched + other.fetched)
    assert len(fetched) == len(set(fetched)) == SHARDS, fetched
    return Seen(what=f"{len(one.fetched)} + {len(other.fetched)} fetches of {SHARDS} shards")


def evicted_while_read(folder: Path) -> Seen:
    """Two processes in a folder with room for a quarter: each evicts what the other reads, pass after pass."""
    data = make_data(folder)
    right = true_reading(data, folder)
    limit = SHARDS // 4 * data.shard_bytes
    readers = [start_reader(data, folder / "cache", limit=limit, passes=6) for _ in range(2)]
    begin(*readers)
    most = looks = 0
    while any(reader.poll() is None for reader in readers):
        most, looks = max(most, held_bytes(folder / "cache")), looks + 1
        time.sleep(0.005)
    one, other = (reading(reader) for reader in readers)
    assert one.hashes == other.hashes == right
    assert not one.said
    assert not other.said
    assert len(one.fetched + other.fetched) > 2 * SHARDS, "nothing was evicted"
    assert 0 < most <= limit
    return Seen(what=f"at most {most / limit:.0%} of the limit in {looks} looks")


def killed_with_the_lock(folder: Path) -> Seen:
    """A process is killed while it holds the lock, its unfinished file left behind."""
    data = make_data(folder)
    right = true_reading(data, folder)
    words = [sys.executable, "-c", HOLD_THE_LOCK, str(folder / "cache")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        waiting = start_reader(data, folder / "cache")
        with (folder / "cache" / ".lock").open() as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                raise AssertionError("the lock was not held")
            except BlockingIOError:
                pass
        begin(waiting)
        holder.send_signal(signal.SIGKILL)
        begun = time.monotonic()
    found = reading(waiting)
    assert found.hashes == right
    assert len(found.fetched) == SHARDS
    assert not list((folder / "cache").glob(".*.part"))
    return Seen(what=f"{SHARDS} shards kept, no unfinished file", recovery_seconds=time.monotonic() - begun)


def full_disk(folder: Path) -> Seen:
    """The cache's disk has room for three shards and a half; the limit would allow all."""
    data = make_data(folder)
    right = true_reading(data, folder)
    (folder / "disk").mkdir()
    script = (
        f'mount -t tmpfs -o size={7 * data.shard_bytes // 2} none {folder / "disk"} && "$@" && '
        f"ls -A {folder / 'disk'} > {folder / 'left'}"
    )
    within = [*OWN_MOUNTS, "sh", "-c", script, "sh"]
    found = read_once(data, folder / "disk", passes=2, within=within)
    left = (folder / "left").read_text().split()
    kept = [name for name in left if name.endswith(".zst")]
    assert found.hashes == right
    assert len(found.said) == 1, found.said
    assert "No space left on device" in found.said[0]
    assert 0 < len(kept) < SHARDS
    assert not [name for name in left if name.endswith(".part")]
    assert len(found.fetched) == SHARDS + SHARDS - len(kept), "what was kept is still used"
    return Seen(what=f"{len(kept)} of {SHARDS} kept, the rest from the source, said once")


def forbidden_folder(folder: Path) -> Seen:
    """The cache's folder may not be written."""
    data = make_data(folder)
    right = true_reading(data, folder)
    (folder / "cache").mkdir(mode=0o555)
    found = read_once(data, folder / "cache", within=UNPRIVILEGED)
    assert found.hashes == right
    assert len(found.said) == 1, found.said
    assert "Permission denied" in found.said[0]
    return Seen(what="all from the source, said once")


def damaged_files(folder: Path) -> Seen:
    """One file each: a bit flipped, cut, empty, a folder in its place, and one that may not be read."""
    data = make_data(folder)
    right = true_reading(data, folder)
    cache = folder / "cache"
    assert read_once(data, cache).hashes == right
    flipped, cut, empty, replaced, forbidden = (cache / f"{name}.zst" for name in data.names[:5])
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(content)
    os.truncate(cut, 100)
    os.truncate(empty, 0)
    replaced.unlink()
    replaced.mkdir()
    (replaced / "inside").write_text("x")
    forbidden.chmod(0)
    found = read_once(data, cache, within=UNPRIVILEGED)
    assert found.hashes == right
    assert len(found.fetched) == 5, found.fetched
    for path in (flipped, cut, empty, replaced, forbidden):
        assert [line for line in found.said if str(path) in line], (path, found.said)
    again = read_once(data, cache)
    assert (again.hashes, again.fetched, again.said) == (right, [], [])
    return Seen(what="5 of 5 fetched again and said")


FAULTS = (
    Fault(
        name="a cache shared by two processes, started together",
        promise="each shard fetched once",
        inject=shared_from_the_start,
        times=10,
    ),
    Fault(
        name="a cache for a quarter of the data, two processes",
        promise="samples right, limit holds",
        inject=evicted_while_read,
        times=10,
    ),
    Fault(
        name="SIGKILL of the process that holds the cache's lock",
        promise="the next goes on, nothing left",
        inject=killed_with_the_lock,
        times=10,
    ),
    Fault(
        name="cache disk full",
        promise="reading goes on, said once",
        inject=full_disk,
        times=5,
        needs=OWN_MOUNTS,
    ),
    Fault(
        name="cache folder forbidden",
        promise="reading goes on, said once",
        inject=forbidden_folder,
        times=3,
        needs=UNPRIVILEGED,
    ),
    Fault(
        name="cache files flipped, cut, empty, replaced, forbidden",
        promise="fetched again, said",
        inject=damaged_files,
        needs=UNPRIVILEGED,
        times=5,
    ),
)
