"""Samples with labels (images, texts): small classes refused or left out, the rest split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model_code.data.index import ImageFacts, TextFacts
from model_code.data.options import SourceOptions
from model_code.data.shards import Array, Columns
from model_code.data.source import Part, Samples
from model_code.data.splits import MIN_CLASS, small_classes, split_rows


def classified(
    columns: Columns,
    labels: Array,
    classes: Sequence[str],
    *,
    skipped: Sequence[str],
    options: SourceOptions,
    image: ImageFacts | None = None,
    text: TextFacts | None = None,
) -> Samples:
    """Return labelled samples, split.

    Args:
        columns: `id` and `image`, or `id`, `text` and `offset`, of N rows.
        labels: (N,) numbers of the classes.
        classes: their names, in order.
        skipped: what the source has left out so far.
        options: whether classes too small to split are refused or left out.
        image: facts, for images.
        text: facts, for texts.

    Raises:
        InputError: fewer than two classes, or one too small to split.
    """
    ids, skipped = columns["id"], list(skipped)
    rows = np.arange(len(ids))
    if options.on_error == "skip":
        small = small_classes(ids, labels, classes)
        skipped += [
            f"class `{classes[number]}`: {size} different samples, {MIN_CLASS} are needed"
            for number, size in small.items()
        ]
        kept = [number for number in range(len(classes)) if number not in small]
        renumbered = np.full(len(classes), -1, np.int64)
        renumbered[kept] = np.arange(len(kept))
        labels, classes = renumbered[labels], [classes[number] for number in kept]
        rows = np.flatnonzero(labels >= 0)
    splits = split_rows(ids[rows], labels[rows], classes)
    columns = {**columns, "label": labels}
    return Samples(
        kind="images" if image else "text",
        classes=tuple(classes),
        parts={name: _part(columns, rows[chosen]) for name, chosen in splits.items()},
        image=image,
        text=text,
        skipped=tuple(skipped),
    )


def _part(columns: Columns, rows: Array) -> Part:
    lengths = np.diff(columns["offset"])[rows] if "offset" in columns else np.zeros(1, np.int64)
    return Part(columns=columns, rows=rows, text_bytes=int(lengths.sum()))
