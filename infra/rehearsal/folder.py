"""A rehearsal's folder: what lies where, who holds it, and what is cleared at its end or, after a crash, by the next.

The kernel's lock on a file says whether a rehearsal lives: whoever holds it dies with it, so no stale one is left.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.cli.errors import InputError

PREFIX = "skylift-"
"""Begins the name of the short folder: such a one only is ever removed."""
FILES = (
    *("events.jsonl", "plan.json", "world.json", "result.json", "report.html", "world.log"),
    *("starter.json", "token", "example-request"),
)
"""What a rehearsal writes, beside its two folders."""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """One rehearsal's."""

    path: Path
    """Absolute."""

    @property
    def events(self) -> Path:
        """What happened, a line each; see story."""
        return self.path / "events.jsonl"

    @property
    def plan(self) -> Path:
        """What was asked for, JSON."""
        return self.path / "plan.json"

    @property
    def facts(self) -> Path:
        """What the world says of itself, JSON: its short folder, and how it is called."""
        return self.path / "world.json"

    @property
    def starter(self) -> Path:
        """The process that started the world and lives as long as it does, JSON."""
        return self.path / "starter.json"

    @property
    def result(self) -> Path:
        """What came out, JSON; there once it is over, or kept."""
        return self.path / "result.json"

    @property
    def report(self) -> Path:
        """The same for people, a page."""
        return self.path / "report.html"

    @property
    def log(self) -> Path:
        """What the rehearsal's own process printed: nothing, as a rule."""
        return self.path / "world.log"

    @property
    def nodes(self) -> Path:
        """A folder for each node, by instance id."""
        return self.path / "nodes"

    @property
    def inner(self) -> Path:
        """What the emulated account, the engine and the balancer keep."""
        return self.path / "world"

    @property
    def lock(self) -> Path:
        """Locked while a rehearsal is up."""
        return self.path / "lock"

    def written(self) -> dict[str, Any]:
        """Return what `facts` says; nothing where it was not written yet, or by a crash in the middle."""
        try:
            found = json.loads(self.facts.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, **facts: object) -> None:
        """Add to what `facts` says, whole or not at all."""
        write_whole(self.facts, json.dumps({**self.written(), **facts}, default=os.fspath).encode())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def folder_at(path: str) -> Folder:
    """Return the folder that `--out` names.

    Raises:
        InputError: it is a file.
    """
    absolute = Path(path).absolute()
    if absolute.exists() and not absolute.is_dir():
        raise InputError(f"--out must be a folder, `{absolute}` is a file; name another one")
    return Folder(path=absolute)


@contextmanager
def held(folder: Folder) -> Iterator[int]:
    """Hold a folder and yield the file descriptor that does: a process that inherits it holds it too.

    Raises:
        InputError: a rehearsal is up in it.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"--out must be a folder without a running rehearsal, one is up in {folder.path}; "
                f"end it: skylift rehearse down --out {folder.path}"
            ) from None
        yield handle
    finally:
        os.close(handle)


def is_up(folder: Folder) -> bool:
    """Return whether a rehearsal is up in a folder."""
    try:
        handle = os.open(folder.lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def await_end(folder: Folder) -> None:
    """Return when no rehearsal is up in a folder."""
    with folder.lock.open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)


def clear(folder: Folder) -> bool:
    """Remove what the rehearsal before left, a crashed one's too; whoever calls this holds the folder.

    Nothing else that lies there is touched.

    Returns:
        Whether the one before had not come to its end.
    """
    before = folder.written()
    _remove_short(folder)
    for name in FILES:
        (folder.path / name).unlink(missing_ok=True)
    for one in (folder.nodes, folder.inner):
        _remove(one)
    return bool(before) and not before.get("over", False)


def tidy(folder: Folder) -> None:
    """Remove the short folder of a rehearsal that is over: its sockets are nobody's. All else is there to be read.

    Where another one is up by now, the short folder is that one's, and stays.
    """
    with suppress(InputError), held(folder):
        _remove_short(folder)


def _remove_short(folder: Folder) -> None:
    short = Path(str(folder.written().get("short", "")))
    if short.name.startswith(PREFIX):
        _remove(short)


def _remove(folder: Path) -> None:
    """Remove a folder where it is there, with what lies in it that its owner may not list: overlays leave such."""

    def open_up(function: Callable[[str], object], path: str, _: object) -> None:
        Path(path).chmod(0o700)
        shutil.rmtree(path) if function in (os.scandir, os.open) else function(path)

    if folder.exists():
        shutil.rmtree(folder, onerror=open_up)


def make_short(folder: Folder) -> Path:
    """Make a folder whose path is short, for sockets: the kernel takes 107 bytes. It is named in `facts`."""
    short = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))
    folder.write(short=short)
    return short
