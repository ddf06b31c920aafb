"""What the sources have in common: their options, and the samples that they hand to the writer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np
from rich.console import Console
from rich.progress import track

from model_code.data.index import ImageFacts, Kind, TextFacts, TokenFacts
from model_code.data.shards import Array, Columns
from model_code.errors import InputError

T = TypeVar("T")

MAX_NAMED = 100
"""Most skipped things that an index lists by name."""


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How a source is read. Each field counts for some kinds of source and is ignored by the others."""

    on_error: Literal["refuse", "skip"] = "refuse"
    """Unreadable image, ragged row, class too small to split: refuse the source, or leave it out and list it."""
    label_column: str = ""
    """Column of the label (`text`): its name, or its number from 1; empty: guessed."""
    text_column: str = ""
    """Column of the text (`text`), or several with commas between, joined by a space; empty: guessed."""
    header: Literal["auto", "yes", "no"] = "auto"
    """Whether the first row holds names (`text`)."""
    delimiter: str = ""
    """One character between columns (`text`), `tab` for a tab; empty: guessed."""
    image_size: int = 0
    """Side of the square images, in pixels (`images`); 0: fits the data, 64 at most."""
    block: int = 0
    """Tokens to predict in a block (`tokens`); 0: fits the data."""
    vocabulary: int = 0
    """Most tokens of the tokenizer (`tokens`); 0: a 500th of the bytes, 512 to 32,000."""

    def __post_init__(self) -> None:
        """Refuse numbers outside their range."""
        _zero_or_between("--image-size", self.image_size, 8, 1024)
        _zero_or_between("--block", self.block, 8, 1 << 20)
        _zero_or_between("--vocabulary", self.vocabulary, 257, 1 << 20)
        if self.delimiter not in ("", "tab") and len(self.delimiter) != 1:
            raise InputError(
                f"--delimiter must be one character or `tab`, got `{self.delimiter}`; for example ';'"
            )


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
    numeric = all(name.removeprefix("-").isdecimal() for name in distinct)
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


def _zero_or_between(name: str, value: int, low: int, high: int) -> None:
    if value and not low <= value <= high:
        raise InputError(f"{name} must be 0 (fitting the data) or between {low} and {high}, got {value}")
