"""The parts of a batch job: one object for each range of the split, whole or not there, and never trusted unseen.

A range is counted in samples and depends on neither ranks nor machines, so whoever makes a part makes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from obstore.exceptions import BaseError

from model_code import store
from model_code.errors import RunFailedError
from model_code.signing import canonical


@dataclass(frozen=True, kw_only=True)
class Part:
    """What was answered to one range."""

    lines: bytes
    """A JSON line a sample, in stored order."""
    samples: int
    """How many."""
    correct: int
    """How many were answered with their truth; 0 where there is none."""


class Parts:
    """The parts of one job below `<out>.parts/<job>/`.

    A part's first line says its counts and the SHA-256 of all the rest, so that one write makes both or none. Two
    jobs of one key may write at once: they write the same bytes.
    """

    def __init__(self, out: str, job: str, samples: int, size: int) -> None:
        """Name the parts of `samples` in ranges of `size`."""
        self.uri = store.join(f"{out}.parts", job)
        self._samples, self._size = samples, size

    def __len__(self) -> int:
        return -(-self._samples // self._size)

    def bounds(self, number: int) -> tuple[int, int]:
        """Return a range's first sample and the one after its last."""
        return number * self._size, min((number + 1) * self._size, self._samples)

    def name(self, number: int) -> str:
        """Return a part's name, which sorts as the ranges do."""
        first, last = self.bounds(number)
        return f"range-{first:09d}-{last:09d}.jsonl"

    def read(self, number: int, say: Callable[[str], None]) -> Part | None:
        """Return a part, or None where it is missing or (which is said) not what was written."""
        try:
            content = store.read(store.join(self.uri, self.name(number)))
        except FileNotFoundError:
            return None
        part = unsealed(content)
        first, last = self.bounds(number)
        if part is None or part.samples != last - first:
            say(f"{self.name(number)} is torn or was altered ({len(content)} bytes); it is done again")
            return None
        return part

    def write(self, number: int, part: Part) -> None:
        """Write a part, whole or not at all.

        Raises:
            RunFailedError: the store does not take it, as with a full disk.
        """
        uri, content = store.join(self.uri, self.name(number)), sealed(part)
        try:
            store.write(uri, content)
        except (
            OSError,
            BaseError,
        ):  # another job of this key may have ended and removed the folder meanwhile
            with written(uri):
                store.write(uri, content)

    def clear(self) -> None:
        """Delete the parts, with what killed writers left."""
        path = store.local_path(self.uri)
        if path:
            shutil.rmtree(path, ignore_errors=True)
            with suppress(OSError):  # parts of another job are there
                path.parent.rmdir()
            return
        for name in store.names(self.uri):
            store.delete(store.join(self.uri, name))


@contextmanager
def written(uri: str) -> Iterator[None]:
    """Give every failure to write there one line."""
    try:
        yield
    except (OSError, BaseError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RunFailedError(
            f"`{uri}` could not be written ({reason}); make room and start the same command again: "
            "complete parts are kept"
        ) from None


def sealed(part: Part) -> bytes:
    """Return a part's object: a line with its counts and SHA-256, then its lines."""
    return _head(part) + b"\n" + part.lines


def unsealed(content: bytes) -> Part | None:
    """Return what an object holds, or None where a byte of it is another than was written."""
    head, _, lines = content.partition(b"\n")
    try:
        facts = json.loads(head)
        part = Part(lines=lines, samples=int(facts["samples"]), correct=int(facts["correct"]))
    except (ValueError, KeyError, TypeError):
        return None
    return part if head == _head(part) else None


def _head(part: Part) -> bytes:
    counts = {"samples": part.samples, "correct": part.correct}
    return canonical({**counts, "sha256": hashlib.sha256(canonical(counts) + part.lines).hexdigest()})
