"""What a data set is, as text: `index.json` names its shards with their hashes, its classes and its facts."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Literal

from model_code import store
from model_code.errors import InputError
from model_code.typed_json import build, parse

FORMAT = 1
"""Layout of index and shards. A reader refuses any other number."""

INDEX_FILE = "index.json"
TOKENIZER_FILE = "tokenizer.json"
SPLITS = ("train", "validation", "test")

SHARD_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
SHA256 = re.compile(r"[0-9a-f]{64}")
"""Both become paths, of the data set and of the cache: an index from elsewhere must not lead out of them."""

Kind = Literal["images", "text", "tokens"]


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One file of samples."""

    file: str
    """Name beside the index, such as `train-00000.zst`."""
    samples: int
    """Samples in it, 1 or more."""
    bytes: int
    """Size of the file (compressed)."""
    raw_bytes: int
    """Size of its columns in memory (decompressed)."""
    sha256: str
    """SHA-256 of the file, hexadecimal."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """One part of a data set: `train`, `validation` or `test`."""

    samples: int
    """Samples in all its shards."""
    shards: tuple[Shard, ...]
    """The files, in the order in which an evaluation reads them."""
    text_bytes: int = 0
    """UTF-8 bytes of its text (`text`, `tokens`); 0 for images."""


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """Shape of every image."""

    channels: int
    """1 (gray) or 3 (RGB)."""
    height: int
    """Pixels."""
    width: int
    """Pixels."""


@dataclass(frozen=True, kw_only=True)
class TextFacts:
    """How rows became samples."""

    mean_bytes: float
    """Mean UTF-8 bytes of a sample's text."""
    max_bytes: int
    """Longest sample's UTF-8 bytes."""
    label_column: str
    """Name of the column that held the label, or its number from 1 where there was no header."""
    text_columns: tuple[str, ...]
    """Names (or numbers) of the columns whose texts were joined by one space, in the file's order."""
    header: bool
    """Whether the first row held names."""


@dataclass(frozen=True, kw_only=True)
class TokenFacts:
    """How text became blocks of tokens."""

    vocabulary: int
    """Tokens of the tokenizer; every id is below it."""
    block: int
    """Tokens to predict in a block (T); a block holds T + 1, the last is a target only."""
    tokenizer_sha256: str
    """SHA-256 of `tokenizer.json`, hexadecimal."""


@dataclass(frozen=True, kw_only=True)
class DataIndex:
    """A whole data set: everything but the samples."""

    format: int = FORMAT
    """Layout number."""
    kind: Kind
    """What a sample is."""
    dataset: str
    """Short name, from the source's."""
    version: str
    """Hash of source content and settings, 16 hexadecimal digits."""
    classes: tuple[str, ...]
    """Names by label number; empty for `tokens`."""
    splits: dict[str, Split]
    """`train`, `validation` and `test`."""
    image: ImageFacts | None = None
    """Set for `images` only."""
    text: TextFacts | None = None
    """Set for `text` only."""
    tokens: TokenFacts | None = None
    """Set for `tokens` only."""
    skipped: tuple[str, ...] = field(default=())
    """What was left out, by name and reason (at most 100, then a count)."""

    @property
    def bytes(self) -> int:
        """Size of all shards."""
        return sum(shard.bytes for split in self.splits.values() for shard in split.shards)

    @property
    def raw_bytes(self) -> int:
        """Size of all shards in memory."""
        return sum(shard.raw_bytes for split in self.splits.values() for shard in split.shards)


def to_json(index: DataIndex) -> str:
    """Return an index as indented JSON, fields in their order."""
    return json.dumps(dataclasses.asdict(index), indent=1, ensure_ascii=False) + "\n"


def from_json(text: str | bytes, where: str = INDEX_FILE) -> DataIndex:
    """Return the index that `to_json` wrote.

    Args:
        text: the JSON.
        where: the file's name for messages.

    Raises:
        InputError: no JSON, an unknown or missing field, a wrong type, another format, counts that do not add up.
    """
    try:
        values = parse(text)
    except ValueError as error:
        raise InputError(f"{where} is not JSON ({error}); write the data set again") from None
    if isinstance(values, dict) and values.get("format") != FORMAT:
        raise InputError(
            f"{where} must have format {FORMAT}, got {values.get('format')!r}; write the data set again with "
            "this version of skylift"
        )
    index: DataIndex = build(DataIndex, values, where)
    _check_whole(index, where)
    return index


def load_index(uri: str) -> DataIndex:
    """Return the index of the data set at a URI (the folder that holds `index.json`).

    Raises:
        InputError: nothing there, or no valid index.
    """
    where = store.join(uri, INDEX_FILE)
    try:
        content = store.read(where)
    except FileNotFoundError:
        raise InputError(
            f"data must be a folder with {INDEX_FILE}, found none at `{uri}`; write one: skylift data --source …"
        ) from None
    return from_json(content, where)


def load_tokenizer(uri: str, index: DataIndex) -> bytes:
    """Return the `tokenizer.json` of a `tokens` data set, its hash verified.

    Raises:
        InputError: the data set has none, or the file is missing or altered.
    """
    if index.tokens is None:
        raise InputError(f"data at `{uri}` must be of kind tokens to have a tokenizer, got {index.kind}")
    where = store.join(uri, TOKENIZER_FILE)
    try:
        content = store.read(where)
    except FileNotFoundError:
        raise InputError(f"{where} is missing; write the data set again") from None
    if hashlib.sha256(content).hexdigest() != index.tokens.tokenizer_sha256:
        raise InputError(f"{where} does not match the SHA-256 in {INDEX_FILE}; write the data set again")
    return content


def _check_whole(index: DataIndex, where: str) -> None:
    if set(index.splits) != set(SPLITS):
        raise InputError(f"{where}: splits must be {', '.join(SPLITS)}, got {', '.join(index.splits)}")
    for name, split in index.splits.items():
        if not split.shards or split.samples != sum(shard.samples for shard in split.shards):
            raise InputError(
                f"{where}: splits.{name}.samples must be the sum over its shards, got {split.samples}"
            )
        for shard in split.shards:
            _check_shard(shard, f"{where}: shard `{shard.file}` of {name}")
    facts = {"images": index.image, "text": index.text, "tokens": index.tokens}[index.kind]
    if facts is None:
        raise InputError(f"{where}: kind {index.kind} must come with its facts; write the data set again")


def _check_shard(shard: Shard, where: str) -> None:
    if not SHARD_FILE.fullmatch(shard.file):
        raise InputError(f"{where} must be a plain file name; write the data set again")
    if not SHA256.fullmatch(shard.sha256):
        raise InputError(f"{where} must have a SHA-256, got `{shard.sha256}`; write the data set again")
    if min(shard.samples, shard.bytes, shard.raw_bytes) < 1:
        raise InputError(
            f"{where} must have samples and bytes, got {shard.samples} samples, {shard.bytes} and "
            f"{shard.raw_bytes} bytes; write the data set again"
        )
