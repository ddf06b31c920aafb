"""Which sample goes to which split: by the hash of its content alone, class by class.

Neither order nor names of the source count, so preparing it again gives the same split, and equal samples can never
be trained on and tested on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model_code.data.shards import Array
from model_code.errors import InputError

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1
MIN_CLASS = 3
"""Different samples that a class needs: one for each split."""


def split_rows(ids: Array, labels: Array, classes: Sequence[str]) -> dict[str, Array]:
    """Return the rows of each split, in the order of their content's hash.

    Of each class 20 % of the different contents are for test and 10 % for validation, at least one each. Rows of
    equal content stay together; where their labels contradict each other they count for the first of those classes.

    Args:
        ids: (N,) content hashes.
        labels: (N,) numbers of the classes.
        classes: their names.

    Raises:
        InputError: fewer than two classes, or one with fewer than 3 different samples.
    """
    if len(classes) < 2:
        named = f": `{classes[0]}`" if classes else ""
        raise InputError(
            f"data must have at least 2 classes, got {len(classes)}{named}; add samples of another"
        )
    small = small_classes(ids, labels, classes)
    if small:
        number, size = next(iter(small.items()))
        raise InputError(
            f"class `{classes[number]}` must have at least {MIN_CLASS} different samples (one for each split), got "
            f"{size}; add some or leave it out with --on-error skip"
        )
    unique, owners, back = _contents(ids, labels)
    place = np.zeros(len(unique), np.uint8)
    for number in range(len(classes)):
        mine = np.flatnonzero(
            owners == number
        )  # `unique` is sorted, so these are in the order of their hashes
        tested = max(1, round(len(mine) * TEST_SHARE))
        validated = max(1, round(len(mine) * VALIDATION_SHARE))
        place[mine[:tested]] = 2
        place[mine[tested : tested + validated]] = 1
    of_row = place[back]
    order = np.argsort(ids, kind="stable")
    names = ("train", "validation", "test")
    return {name: order[of_row[order] == number] for number, name in enumerate(names)}


def small_classes(ids: Array, labels: Array, classes: Sequence[str]) -> dict[int, int]:
    """Return the classes that cannot be split: number -> different samples that it has."""
    _, owners, _ = _contents(ids, labels)
    sizes = np.bincount(owners, minlength=len(classes))
    return {int(number): int(sizes[number]) for number in np.flatnonzero(sizes < MIN_CLASS)}


def _contents(ids: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Return the different hashes (sorted), the lowest label of each, and each row's place among them."""
    unique, back = np.unique(ids, return_inverse=True)
    owners = np.full(len(unique), np.iinfo(np.int64).max, np.int64)
    np.minimum.at(owners, back, labels)
    return unique, owners, back
