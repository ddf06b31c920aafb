"""Shards on the local disk: the least recently used leave when the cache would grow beyond its limit.

The cache only ever saves time: a disk that is full or forbidden, and a file that is damaged, cost a line on stderr
and another look at the source, never the run.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from model_code import store
from model_code.data.index import Shard

log = logging.getLogger(__name__)


class DiskCache:
    """A folder of shards named by their hash, so that data sets, runs and ranks may share it.

    Fetching holds one lock a folder: the ranks of a machine want the same shards, so the second finds what the
    first has fetched. The lock is the kernel's (flock): a killed process does not keep it. A file that is being
    read may be evicted: its reader has it open.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """Use `folder` for at most `limit_bytes` of shards."""
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._keeps = True
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._give_up(error)

    def read(self, uri: str, shard: Shard) -> bytes:
        """Return a shard's bytes, from the folder or from `uri`; one that could never fit is not kept.

        Raises:
            FileNotFoundError: neither has it.
        """
        held = self._held(shard)
        if held is not None:
            return held
        return self._fetched(uri, shard, self._held)

    def reread(self, uri: str, shard: Shard) -> bytes:
        """Return a shard's bytes after a damaged copy was read: from a copy that is whole by now, or from `uri`.

        Raises:
            FileNotFoundError: neither has it.
        """
        return self._fetched(uri, shard, self._intact)

    def _fetched(self, uri: str, shard: Shard, look: Callable[[Shard], bytes | None]) -> bytes:
        """Fetch a shard unless `look`, asked when nobody else fetches, finds it; keep it where that is possible."""
        if not self._keeps or shard.bytes > self.limit_bytes:
            return store.read(uri)
        with ExitStack() as stack:
            try:
                stack.enter_context(self._lock())
            except OSError as error:
                self._give_up(error)
            held = look(shard)
            if held is not None:
                return held
            content = store.read(uri)
            if self._keeps and hashlib.sha256(content).hexdigest() == shard.sha256:
                try:
                    self._keep(content, shard)
                except OSError as error:
                    self._give_up(error)
            return content

    def _held(self, shard: Shard) -> bytes | None:
        """Return what the folder holds under a shard's name, whatever it is, or None where it cannot be read."""
        path = self._path(shard)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("cache: %s cannot be read (%s); it is fetched again", path, error.strerror)
            return None
        with suppress(OSError):  # evicted after we had read it, or another user's
            os.utime(path)
        return content

    def _intact(self, shard: Shard) -> bytes | None:
        """Return a shard's copy if it is whole."""
        content = self._held(shard)
        if content is None or hashlib.sha256(content).hexdigest() == shard.sha256:
            return content
        log.warning(
            "cache: %s is damaged (%d bytes, SHA-256 is not that of its name); it is fetched again",
            self._path(shard),
            len(content),
        )
        with suppress(OSError):
            self._path(shard).unlink()
        return None

    def _keep(self, content: bytes, shard: Shard) -> None:
        """Write a shard's copy, whole or not at all, over whatever was there. Needs the lock."""
        path = self._path(shard)
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        self._evict(self.limit_bytes - shard.bytes)
        partial = self.folder / f".{path.name}.{os.getpid()}.part"
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _evict(self, keep_bytes: int) -> None:
        """Delete the least recently used until at most `keep_bytes` are left, and what killed processes left."""
        for partial in self.folder.glob(".*.part"):
            partial.unlink(missing_ok=True)  # only who holds the lock writes: its writer is dead
        files = []
        for path in self.folder.glob("*.zst"):
            facts = path.lstat()
            if stat.S_ISREG(facts.st_mode):
                files.append((facts.st_mtime_ns, facts.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= keep_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _give_up(self, error: OSError) -> None:
        """Keep nothing more in this process: what failed once would fail for every shard."""
        if self._keeps:
            log.warning(
                "cache: nothing more is kept in %s (%s); reading goes on from the source",
                self.folder,
                error.strerror,
            )
        self._keeps = False

    def _path(self, shard: Shard) -> Path:
        return self.folder / f"{shard.sha256}.zst"

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.folder / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def default_folder() -> Path:
    """Return the user's cache folder for shards."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "skylift" / "shards"
