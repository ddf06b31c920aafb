"""A shard keeps its columns, texts of any length among them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model_code.data.shards import Columns, concatenate, count, decode, encode, row_bytes, select, take

TEXTS = st.lists(st.text(max_size=20), min_size=1, max_size=12)


def columns_of(texts: list[str]) -> Columns:
    """Return texts as columns, numbered by id."""
    contents = [text.encode() for text in texts]
    return {
        "text": np.frombuffer(b"".join(contents), np.uint8),
        "offset": np.cumsum([0, *map(len, contents)], dtype=np.int64),
        "id": np.arange(len(texts), dtype=np.uint64),
    }


@given(TEXTS)
def test_texts_survive_a_shard(texts: list[str]) -> None:
    """Any texts, empty ones too, come back from the compressed file."""
    content, shard = encode(columns_of(texts), "s.zst")
    back = decode(content, shard, "s.zst")
    assert take(back, slice(None))["text"] == texts
    assert (shard.samples, shard.bytes) == (len(texts), len(content))
    assert shard.raw_bytes == sum(column.nbytes for column in back.values())


@given(TEXTS, TEXTS, st.data())
def test_shards_join_and_rows_are_chosen(one: list[str], two: list[str], data: st.DataObject) -> None:
    """Joined columns are the columns of all texts, and any rows in any order can be taken from them."""
    joined = concatenate([columns_of(one), columns_of(two)])
    both = one + two
    rows = np.array(data.draw(st.lists(st.integers(0, len(both) - 1), max_size=8)), np.int64)
    assert take(joined, rows)["text"] == [both[row] for row in rows]
    chosen = select(joined, rows)
    assert count(chosen) == len(rows)
    assert take(chosen, slice(None))["text"] == [both[row] for row in rows]
    assert row_bytes(joined).tolist() == [len(text.encode()) + 16 for text in both]


def test_the_numbers_keep_their_types() -> None:
    """Pixels, tokens, labels and 64-bit ids are read in the type in which they were written."""
    kinds = {"image": np.uint8, "tokens": np.uint16, "wide": np.uint32, "label": np.int64, "id": np.uint64}
    columns = {name: np.arange(6).astype(kind).reshape(3, 2)[:, :1] for name, kind in kinds.items()}
    content, shard = encode(columns, "s.zst")
    back = decode(content, shard, "s.zst")
    assert {name: column.dtype.type for name, column in back.items()} == kinds
    assert all((back[name] == columns[name]).all() for name in kinds)
