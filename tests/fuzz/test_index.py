"""An index or a shard is read as it was written, or refused in a line that names the place."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np
from backports import zstd
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import save

from model_code.data.index import DataIndex, from_json, load_index, to_json
from model_code.data.shards import Columns, decode, encode, select
from model_code.errors import InputError
from tests.fuzz.strategies import (
    MEGABYTES,
    altered,
    damaged,
    folder,
    hostile,
    indexes,
    json_values,
    refusal,
)
from tests.tiny import index_of

SAFE = dataclasses.replace(
    index_of("text"),
    splits={
        name: dataclasses.replace(
            split, shards=tuple(dataclasses.replace(s, sha256="0" * 64) for s in split.shards)
        )
        for name, split in index_of("text").splits.items()
    },
)
WRITTEN: dict[str, Any] = json.loads(to_json(SAFE))


def with_shard(**changes: object) -> str:
    """Return an index whose first shard has other facts."""
    value = json.loads(json.dumps(WRITTEN))
    value["splits"]["train"]["shards"][0] |= changes
    return json.dumps(value)


@given(indexes())
def test_what_is_written_is_read(index: DataIndex) -> None:
    """Every valid index comes back equal, as text and as bytes."""
    assert from_json(to_json(index)) == index
    assert from_json(to_json(index).encode()) == index


@given(altered(WRITTEN).map(json.dumps))
@example(with_shard(file="../../secret"))
@example(with_shard(sha256="../../../home/x"))
@example(with_shard(samples=-1))
@example(with_shard(file=MEGABYTES))
@example(json.dumps({**WRITTEN, MEGABYTES: 1}))
@example(json.dumps({**WRITTEN, "version": [MEGABYTES]}))
@example(json.dumps({**WRITTEN, "dataset": 7, "version": "two\nlines"}))
@example(json.dumps(WRITTEN).replace("9.0", "NaN").replace(": 9,", ": NaN,", 1))
def test_an_altered_index_is_refused_or_read_for_what_it_says(text: str) -> None:
    """One field of another type, missing, unknown: the line names the file; what is accepted comes back equal."""
    said = refusal(lambda: from_json(text, "the/index.json"), InputError)
    assert said is None or said.startswith("the/index.json") or "the/index.json" in said
    if said is None:
        index = from_json(text)
        assert from_json(to_json(index)) == index
        for split in index.splits.values():
            assert all("/" not in s.file + s.sha256 and s.samples > 0 for s in split.shards)


@given(hostile)
@example(b"[" * 200_000)
@example(b'{"a":' * 990 + b"1" + b"}" * 990)
@example(to_json(SAFE).encode()[:-3] + b',"format":1}')
@example(to_json(SAFE).encode("utf-16"))
@example(MEGABYTES.encode())
@example(json.dumps({"format": MEGABYTES}).encode())
def test_no_other_file_is_taken_for_an_index(content: bytes) -> None:
    """Anything else lying under that name is bad input, also by its URI."""
    with folder() as place:
        (place / "index.json").write_bytes(content)
        said = refusal(lambda: load_index(str(place)), InputError)
        assert said is not None
        assert "index.json" in said


@st.composite
def shards(draw: st.DrawFn) -> Columns:
    """Return columns as a source makes them: ids, labels or pixels, texts."""
    rows = draw(st.integers(1, 6))
    columns: Columns = {"id": draw(arrays.arrays(np.uint64, rows))}
    if draw(st.booleans()):
        columns["label"] = draw(arrays.arrays(np.int64, rows))
    if draw(st.booleans()):
        columns["image"] = draw(arrays.arrays(np.uint8, (rows, 1, 3, 3)))
    if draw(st.booleans()):
        texts = [
            one.encode("utf-8", "replace") for one in draw(st.lists(st.text(), min_size=rows, max_size=rows))
        ]
        columns["text"] = np.frombuffer(b"".join(texts), np.uint8)
        columns["offset"] = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    return columns


def same(one: Columns, other: Columns) -> bool:
    """Tell whether two shards hold the same."""
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in one
    )


@given(shards(), st.data())
def test_a_shard_comes_back_or_is_refused(columns: Columns, data: st.DataObject) -> None:
    """Written and read: the same. One accident: refused by its hash, in one line that names the file."""
    content, shard = encode(columns, "train-00000.zst")
    assert same(decode(content, shard, "x"), columns)
    harmed = data.draw(damaged(content))
    assume(harmed != content)
    said = refusal(lambda: decode(harmed, shard, "the-shard"), InputError)
    assert said is not None
    assert "`the-shard`" in said


def lying(content: bytes, rows: int = 2, raw_bytes: int = 1000) -> tuple[bytes, dict[str, Any]]:
    """Return a shard's content with an entry that fits it: who wrote the one could write the other."""
    facts = {"samples": rows, "bytes": len(content), "raw_bytes": raw_bytes}
    return content, {"file": "x", "sha256": hashlib.sha256(content).hexdigest(), **facts}


TWO = np.arange(2, dtype=np.uint64)
LIES = {
    "no zstd": b"no zstd",
    "half a frame": zstd.compress(save({"id": TWO}))[:-4],
    "no safetensors": zstd.compress(b"x" * 900),
    "a bomb": zstd.compress(bytes(64 << 20)),
    "no ids": zstd.compress(save({"label": TWO})),
    "another number of rows": zstd.compress(save({"id": TWO[:1]})),
    "ragged columns": zstd.compress(save({"id": TWO, "label": np.arange(3)})),
    "a column without rows": zstd.compress(save({"id": TWO, "label": np.array(1)})),
    "texts without offsets": zstd.compress(save({"id": TWO, "text": np.zeros(3, np.uint8)})),
    "offsets beyond the text": zstd.compress(
        save({"id": TWO, "text": np.zeros(3, np.uint8), "offset": np.array([0, 2, 9])})
    ),
    "offsets that go back": zstd.compress(
        save({"id": TWO, "text": np.zeros(3, np.uint8), "offset": np.array([0, 5, 3])})
    ),
}


@given(st.sampled_from(sorted(LIES)))
def test_a_shard_whose_index_lies_along_is_refused(name: str) -> None:
    """A right hash proves the content, not that it is a shard: types and lengths are looked at, bombs not unpacked."""
    from model_code.data.index import Shard

    content, facts = lying(LIES[name])
    said = refusal(lambda: decode(content, Shard(**facts), "the-shard"), InputError)
    assert said is not None
    assert "`the-shard`" in said


@given(shards(), st.data())
def test_any_rows_of_a_shard_are_those_rows(columns: Columns, data: st.DataObject) -> None:
    """Selecting rows and packing them again keeps every one of their values."""
    rows = len(columns["id"])
    chosen = np.array(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=8)))
    content, shard = encode(select(columns, chosen), "x")
    again = decode(content, shard, "x")
    assert (again["id"] == columns["id"][chosen]).all()
    if "text" in columns:
        texts = [
            bytes(columns["text"][a:b])
            for a, b in zip(columns["offset"], columns["offset"][1:], strict=False)
        ]
        found = [
            bytes(again["text"][a:b]) for a, b in zip(again["offset"], again["offset"][1:], strict=False)
        ]
        assert found == [texts[row] for row in chosen]


@given(json_values)
def test_a_strange_format_is_named_shortly(value: object) -> None:
    """Whatever stands for the format, the line is short."""
    assume(value != 1 and value is not True)
    said = refusal(lambda: from_json(json.dumps({**WRITTEN, "format": value})), InputError)
    assert said is not None
    assert "format" in said
