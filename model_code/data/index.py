"""What a data set is, as text: `index.json` names its shards with their hashes, its classes and its facts."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from model_code import store
from model_code.errors import InputError, unknown_key

FORMAT = 1
"""Layout of index and shards. A reader refuses any other number."""

INDEX_FILE = "index.json"
TOKENIZER_FILE = "tokenizer.json"
SPLITS = ("train", "validation", "test")

Kind = Literal["images", "text", "tokens"]
T = TypeVar("T")


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
        values = json.loads(text)
    except ValueError as error:
        raise InputError(f"{where} is not JSON ({error}); write the data set again") from None
    if isinstance(values, dict) and values.get("format") != FORMAT:
        raise InputError(
            f"{where} must have format {FORMAT}, got {values.get('format')!r}; write the data set again with "
            "this version of skylift"
        )
    index: DataIndex = _build(DataIndex, values, where)
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
    facts = {"images": index.image, "text": index.text, "tokens": index.tokens}[index.kind]
    if facts is None:
        raise InputError(f"{where}: kind {index.kind} must come with its facts; write the data set again")


def _build(kind: Any, value: Any, path: str) -> Any:  # noqa: ANN401 - JSON in, the hinted type out
    """Return a JSON value as what a type hint asks for."""
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _build_dataclass(kind, value, path)
    if origin is types.UnionType:
        return None if value is None else _build(options[0], value, path)
    if origin is Literal:
        if value not in options:
            raise InputError(f"{path} must be one of {', '.join(options)}, got {value!r}")
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_build(options[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {str(key): _build(options[1], item, f"{path}.{key}") for key, item in value.items()}
    wanted = (int, float) if kind is float else kind
    if origin is not None or isinstance(value, bool) is not (kind is bool) or not isinstance(value, wanted):
        raise InputError(f"{path} must be {getattr(kind, '__name__', kind)}, got {value!r}")
    return value


def _build_dataclass(kind: type[T], value: Any, path: str) -> T:  # noqa: ANN401 - JSON
    if not isinstance(value, dict):
        raise InputError(f"{path} must be an object, got {type(value).__name__}")
    hints = typing.get_type_hints(kind)
    for key in value:
        if key not in hints:
            raise unknown_key("field", f"{path}.{key}", [f"{path}.{name}" for name in hints])
    try:
        return kind(**{key: _build(hints[key], item, f"{path}.{key}") for key, item in value.items()})
    except TypeError as error:
        raise InputError(f"{path}: {error}") from None
