"""What the sources have in common: the samples that they hand to the writer, and a few words for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import track

from model_code.data.index import ImageFacts, Kind, TextFacts, TokenFacts
from model_code.data.shards import Array, Columns

T = TypeVar("T")

MAX_NAMED = 100
"""Most skipped things that an index lists by name."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One split of a source."""

    columns: Columns
    """Columns that hold its rows (several parts may share them)."""
    rows: Array
    """Numbers of its rows, in the order in which they are stored."""
    text_bytes: int = 0
    """UTF-8 bytes of its text; 0 for images."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """All that a source holds, split and ready to be cut into shards."""

    kind: Kind
    """What a sample is."""
    parts: dict[str, Part]
    """By split."""
    classes: tuple[str, ...] = ()
    """Names by label number; empty for `tokens`."""
    image: ImageFacts | None = None
    """Set for `images` only."""
    text: TextFacts | None = None
    """Set for `text` only."""
    tokens: TokenFacts | None = None
    """Set for `tokens` only."""
    tokenizer: bytes = b""
    """The `tokenizer.json` (`tokens` only)."""
    skipped: tuple[str, ...] = field(default=())
    """What was left out, by name and reason."""


def progress(items: Iterable[T], doing: str, total: int | None = None) -> Iterator[T]:
    """Give the items on, with a bar on stderr."""
    yield from track(items, description=doing, total=total, console=Console(stderr=True))


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return class names sorted: by value where all are whole numbers, else as text."""
    distinct = set(names)
    numeric = all(name.removeprefix("-").isdecimal() and len(name) < 20 for name in distinct)
    return tuple(sorted(distinct, key=lambda name: (int(name) if numeric else 0, name)))


def shorten(skipped: Sequence[str]) -> tuple[str, ...]:
    """Return a list that an index can carry: the first names, then how many more."""
    more = len(skipped) - MAX_NAMED
    return tuple(skipped) if more <= 0 else (*skipped[:MAX_NAMED], f"and {more} more")


def content_hash(content: bytes) -> bytes:
    """Return the 8-byte hash that decides a sample's split and is its id."""
    return hashlib.blake2b(content, digest_size=8).digest()


def row_ids(hashes: Sequence[bytes]) -> Array:
    """Return content hashes as uint64 (little-endian), one a row."""
    return np.frombuffer(b"".join(hashes), dtype="<u8").astype(np.uint64)
