"""Splits depend on content alone, hold every class, and never share a sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_code.data.shards import Array
from model_code.data.splits import split_rows
from model_code.errors import InputError

CONTENTS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), min_size=9, max_size=80)
"""Rows of few different contents, so that many are equal, with labels that may contradict each other."""


def split(ids: Array, labels: Array) -> dict[str, Array]:
    """Return the splits of rows of three classes."""
    return split_rows(ids, labels, ["a", "b", "c"])


@given(CONTENTS)
def test_equal_samples_never_straddle_splits(rows: list[tuple[int, int]]) -> None:
    """Each row is in one split, and rows of equal content are in the same one, whatever their labels."""
    ids = np.array([content for content, _ in rows], np.uint64)
    labels = np.array([label for _, label in rows])
    try:
        splits = split(ids, labels)
    except InputError as refused:
        assert "at least 3 different samples" in str(refused)  # noqa: PT017 - both outcomes are right
        return
    assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(len(rows)))
    contents = [set(ids[chosen].tolist()) for chosen in splits.values()]
    assert sum(map(len, contents)) == len(set.union(*contents))
    assert all(contents)


def test_the_order_of_the_source_does_not_count() -> None:
    """The same contents in another order are split alike and stored in the same order."""
    random = np.random.default_rng(0)
    ids = random.integers(0, 2**63, 500).astype(np.uint64)
    labels = random.integers(0, 3, 500)
    turned = random.permutation(500)
    one, two = split(ids, labels), split(ids[turned], labels[turned])
    for name in one:
        assert (ids[one[name]] == ids[turned][two[name]]).all()


def test_classes_are_split_alike() -> None:
    """Each class gives 20 % to test and 10 % to validation, and the smallest one sample to each split."""
    ids = np.random.default_rng(0).permutation(1103).astype(np.uint64)
    labels = np.repeat([0, 1, 2], [1000, 100, 3])
    splits = split(ids, labels)
    found = {name: np.bincount(labels[rows]).tolist() for name, rows in splits.items()}
    assert found == {"train": [700, 70, 1], "validation": [100, 10, 1], "test": [200, 20, 1]}


def test_three_copies_are_not_three_samples() -> None:
    """A class of one picture three times cannot be in three splits without cheating: it is refused by name."""
    ids = np.array([1, 2, 3, 4, 5, 6, 7, 7, 7], np.uint64)
    with pytest.raises(InputError, match=r"class `c` must have at least 3 different samples .* got 1"):
        split(ids, np.repeat([0, 1, 2], 3))
