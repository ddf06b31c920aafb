"""One shard: named columns of equal length, as a safetensors file compressed by zstd. No pickle.

`text` is ragged: all texts' UTF-8 bytes in one flat column, and `offset` (N + 1) says where each begins.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from model_code.data.index import Shard
from model_code.errors import InputError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Array: TypeAlias = npt.NDArray[Any]
Columns: TypeAlias = dict[str, Array]
"""Columns of a shard; each but `text` and `offset` has N rows."""
Batch: TypeAlias = dict[str, Any]
"""Rows of a data set: arrays of N rows by name; `text` is a list of N strings instead."""

AGAIN = "delete the data set's folder and write it again"
MOST_HEADER = 1 << 16
"""Bytes that a shard's content may be longer than its columns: names, types and shapes."""
LEVEL = 6
"""zstd level: beyond it tokens and text shrink by little and writing takes twice as long."""


def encode(columns: Columns, file: str) -> tuple[bytes, Shard]:
    """Return a shard's content and its entry in the index."""
    raw = save_safetensors({name: np.ascontiguousarray(column) for name, column in columns.items()})
    content = zstd.compress(raw, level=LEVEL)
    entry = Shard(
        file=file,
        samples=count(columns),
        bytes=len(content),
        raw_bytes=sum(column.nbytes for column in columns.values()),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return content, entry


def decode(content: bytes, shard: Shard, where: str) -> Columns:
    """Return a shard's columns, its hash verified first.

    Raises:
        InputError: the content is not what the index names.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != shard.sha256:
        raise InputError(
            f"shard `{where}` must have SHA-256 {shard.sha256[:12]}…, got {found[:12]}… ({len(content)} of "
            f"{shard.bytes} bytes): it was altered or cut short; {AGAIN}"
        )
    try:
        raw = zstd.ZstdDecompressor().decompress(content, max_length=shard.raw_bytes + MOST_HEADER)
        columns: Columns = load_safetensors(raw)
        whole = _is_whole(columns, shard.samples)
    except (zstd.ZstdError, SafetensorError, ValueError, KeyError) as error:
        raise InputError(f"shard `{where}` is no zstd of safetensors ({error}); {AGAIN}") from None
    if not whole:
        raise InputError(f"shard `{where}` must hold columns of {shard.samples} rows each; {AGAIN}")
    return columns


def _is_whole(columns: Columns, rows: int) -> bool:
    """Tell whether every column has so many rows, and the texts lie end to end."""
    plain = {name: column for name, column in columns.items() if name not in ("text", "offset")}
    if "id" not in plain or any(column.ndim < 1 or len(column) != rows for column in plain.values()):
        return False
    if "text" not in columns and "offset" not in columns:
        return True
    text, offset = columns["text"], columns["offset"]
    if text.ndim != 1 or text.dtype != np.uint8 or offset.shape != (rows + 1,) or offset.dtype != np.int64:
        return False
    return bool(offset[0] == 0 and offset[-1] == len(text) and (np.diff(offset) >= 0).all())


def count(columns: Columns) -> int:
    """Return the number of samples."""
    return len(columns["id"])


def concatenate(parts: Sequence[Columns]) -> Columns:
    """Return the columns of several shards as one. A single part is not copied."""
    if len(parts) == 1:
        return parts[0]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "offset"}
    if "offset" in parts[0]:
        starts = np.cumsum([0, *(len(part["text"]) for part in parts)])
        moved = [part["offset"][:-1] + start for part, start in zip(parts, starts, strict=False)]
        joined["offset"] = np.concatenate([*moved, starts[-1:]])
    return joined


def take(columns: Columns, rows: Array | slice) -> Batch:
    """Return some rows as a batch of their own memory; texts are decoded here, for these rows only."""
    batch: Batch = {
        name: column[rows].copy() if isinstance(rows, slice) else column[rows]
        for name, column in columns.items()
        if name not in ("text", "offset")
    }
    if "text" in columns:
        flat, offset = columns["text"].data, columns["offset"]
        pairs = zip(offset[:-1][rows].tolist(), offset[1:][rows].tolist(), strict=True)
        batch["text"] = [str(flat[start:end], "utf-8") for start, end in pairs]
    return batch


def join_batches(parts: Sequence[Batch]) -> Batch:
    """Return several batches as one, in order."""
    if len(parts) == 1:
        return parts[0]
    joined: Batch = {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "text"
    }
    if "text" in parts[0]:
        joined["text"] = [text for part in parts for text in part["text"]]
    return joined


def row_bytes(columns: Columns) -> Array:
    """Return the size of each row, (N,) int64."""
    fixed = sum(column[:1].nbytes for name, column in columns.items() if name not in ("text", "offset"))
    sizes = np.full(count(columns), fixed, np.int64)
    return sizes + np.diff(columns["offset"]) + columns["offset"].itemsize if "offset" in columns else sizes


def select(columns: Columns, rows: Array) -> Columns:
    """Return the columns of some rows, in the order given."""
    chosen = {name: column[rows] for name, column in columns.items() if name not in ("text", "offset")}
    if "text" in columns:
        flat, offset = columns["text"].data, columns["offset"]
        starts, ends = offset[:-1][rows], offset[1:][rows]
        texts = [flat[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        chosen["text"] = np.frombuffer(b"".join(texts), np.uint8)
        chosen["offset"] = np.concatenate([[0], np.cumsum(ends - starts)]).astype(np.int64)
    return chosen
