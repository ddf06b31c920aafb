"""Shards on the local disk: the least recently used leave when the cache would grow beyond its limit."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model_code import store
from model_code.data.index import Shard


class DiskCache:
    """A folder of shards named by their hash, so that data sets, runs and ranks may share it.

    Fetching holds one lock a folder: the ranks of a machine want the same shards, so the second finds what the
    first has fetched. A file that is being read may be evicted: its reader has it open.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """Use `folder` for at most `limit_bytes` of shards."""
        self.folder = folder
        self.limit_bytes = limit_bytes
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, uri: str, shard: Shard) -> bytes:
        """Return a shard's bytes, from the folder or from `uri`; one that could never fit is not kept.

        Raises:
            FileNotFoundError: neither has it.
        """
        path = self.folder / f"{shard.sha256}.zst"
        try:
            return self._touch(path)
        except FileNotFoundError:
            if shard.bytes > self.limit_bytes:
                return store.read(uri)
        with self._lock():
            if not path.exists():
                self._evict(self.limit_bytes - shard.bytes)
                store.fetch(uri, path)
            return self._touch(path)

    def drop(self, shard: Shard) -> bool:
        """Forget a shard that turned out to be damaged. Returns whether it was there."""
        path = self.folder / f"{shard.sha256}.zst"
        was_there = path.exists()
        path.unlink(missing_ok=True)
        return was_there

    def _touch(self, path: Path) -> bytes:
        content = path.read_bytes()
        with suppress(FileNotFoundError):  # another rank may have evicted it after we had read it
            os.utime(path)
        return content

    def _evict(self, keep_bytes: int) -> None:
        """Delete the least recently used until at most `keep_bytes` are left."""
        files = []
        for path in self.folder.glob("*.zst"):
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue  # dropped by another rank as damaged
            files.append((facts.st_mtime_ns, facts.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= keep_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.folder / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def default_folder() -> Path:
    """Return the user's cache folder for shards."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "skylift" / "shards"
