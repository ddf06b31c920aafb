"""Rows of a table become labelled texts; rows without text or label are left out and listed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from model_code.data.classified import classified
from model_code.data.columns import Choice, choose
from model_code.data.index import TextFacts
from model_code.data.measure import measure
from model_code.data.options import SourceOptions
from model_code.data.shards import Columns
from model_code.data.source import Samples, class_order, content_hash, progress, row_ids
from model_code.data.table import Table, open_table
from model_code.errors import InputError


def load(path: Path, options: SourceOptions) -> Samples:
    """Return the labelled texts of a file, which is read twice: to find the columns, then for their content.

    Raises:
        InputError: a row with too few or too many columns (unless skipped), no label column, too few classes.
    """
    table = open_table(path, options.delimiter)
    skipped: list[str] = []
    choice = _choose(table, options, skipped)
    flat, lengths = bytearray(), [0]
    labels: list[str] = []
    hashes: list[bytes] = []
    rows = _regular(table, options, [])
    if choice.header:
        next(rows)
    for line, cells in progress(rows, "reading"):
        text = " ".join(cells[place].strip() for place in choice.texts).strip()
        label = cells[choice.label].strip()
        if not text or not label:
            skipped.append(f"line {line}: no {'label' if text else 'text'}")
            continue
        content = text.encode()
        flat += content
        lengths.append(len(content))
        labels.append(label)
        hashes.append(content_hash(content))
    if not labels:
        raise InputError(
            f"--source text: must hold rows with a label and a text, `{path}` has none; add some"
        )
    classes = class_order(labels)
    numbers = {name: number for number, name in enumerate(classes)}
    columns: Columns = {
        "text": np.frombuffer(bytes(flat), np.uint8),
        "offset": np.cumsum(lengths, dtype=np.int64),
        "id": row_ids(hashes),
    }
    facts = TextFacts(
        mean_bytes=round(len(flat) / len(labels), 1),
        max_bytes=max(lengths),
        label_column=choice.names[choice.label],
        text_columns=tuple(choice.names[place] for place in choice.texts),
        header=choice.header,
    )
    numbered = np.array([numbers[label] for label in labels], np.int64)
    return classified(columns, numbered, classes, skipped=skipped, options=options, text=facts)


def _choose(table: Table, options: SourceOptions, skipped: list[str]) -> Choice:
    rows = (cells for _, cells in _regular(table, options, skipped))
    first = next(rows, None)
    if first is None:
        raise InputError(
            f"--source text: must hold rows, `{table.path}` has none; give a csv, tsv or jsonl file"
        )
    # JSON has names of its own: its first row counts like the others.
    columns = measure(chain([first] if table.names else [], rows), table.width)
    if not columns[0].rows:
        raise InputError(f"--source text: must hold several rows, `{table.path}` has 1; add some")
    return choose(
        columns,
        first,
        label=options.label_column,
        text=options.text_column,
        header=options.header,
        keys=table.names,
    )


def _regular(table: Table, options: SourceOptions, skipped: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Give line and cells of the rows that can be read; the first other one is refused, or all are listed."""
    for line, cells in table.rows():
        if isinstance(cells, list):
            yield line, cells
        elif options.on_error == "skip":
            skipped.append(f"line {line}: {cells}")
        else:
            raise InputError(
                f"`{table.path}` line {line} has {cells}; repair it, or leave such lines out with --on-error skip"
            )
