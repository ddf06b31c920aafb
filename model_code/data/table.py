"""Rows of a text file: csv, tsv and their kin, JSON lines, or one JSON array; how it is written is guessed from it."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_code.data.encoding import check_encoding
from model_code.errors import InputError

DELIMITERS = ",\t;|"
"""Tried in this order; the file's name may put the tab first."""
SAMPLE_CHARACTERS = 4 << 20
"""Beginning of the file that the guess is made from."""
MOST_COLUMNS = 1000
"""Most columns: a file whose every row has a key of its own would cost their square."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How cells are separated and quoted."""

    delimiter: str
    """One character."""
    quoting: str
    """`double` (a quote within a quoted cell is doubled), `escape` (it follows a backslash) or `none`."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A file of rows that can be read as often as need be."""

    path: Path
    """The file."""
    encoding: str
    """Its codec."""
    dialect: Dialect | None
    """How it is written; None: JSON."""
    width: int
    """Columns that a row must have."""
    names: tuple[str, ...] = ()
    """Keys of JSON objects, in the order of their first appearance; empty for the others."""

    def rows(self) -> Iterator[tuple[int, list[str] | str]]:
        """Give the line number and the cells of each row; instead of the cells, what is wrong with them."""
        if self.dialect is None:
            for line, row in _json_rows(self.path, self.encoding):
                yield line, row if isinstance(row, str) else [_cell(row.get(name)) for name in self.names]
            return
        with self.path.open(encoding=self.encoding, newline="") as file:
            for line, cells in _csv_rows(file, self.dialect):
                extra = cells[self.width :]
                if len(cells) < self.width or any(extra):
                    yield line, f"{len(cells)} columns where the others have {self.width}"
                else:
                    yield line, cells[: self.width]


def open_table(path: Path, delimiter: str = "") -> Table:
    """Return a file's rows.

    Args:
        path: a text file.
        delimiter: the character between columns (`tab` for a tab); empty: guessed.

    Raises:
        InputError: no UTF-8, no rows, or no two columns.
    """
    encoding = check_encoding(path, "text")
    with path.open(encoding=encoding, newline="") as file:
        sample = file.read(SAMPLE_CHARACTERS)
        cut_short = bool(file.read(1))
    if not sample.strip():
        raise InputError(f"--source text: must hold rows, `{path}` is empty; give a csv, tsv or jsonl file")
    if _is_json(path, sample):
        names = _json_names(path, encoding)
        return Table(path=path, encoding=encoding, dialect=None, width=len(names), names=names)
    given = "\t" if delimiter == "tab" else delimiter
    tried = given or (("\t" if path.suffix.lower() in (".tsv", ".tab") else "") + DELIMITERS)
    dialect, width = _guess(sample, tried, cut_short=cut_short)
    if width < 2:
        raise InputError(
            f"--source text: must have a label and a text column, `{path}` has 1 column; separate them by "
            "commas or tabs, or set --delimiter"
        )
    if width > MOST_COLUMNS:
        raise InputError(
            f"--source text: must have at most {MOST_COLUMNS} columns, `{path}` has {width}; leave some out"
        )
    return Table(path=path, encoding=encoding, dialect=dialect, width=width)


def _guess(sample: str, delimiters: str, *, cut_short: bool) -> tuple[Dialect, int]:
    """Return the dialect under which most rows have the same number of columns, two or more."""
    best, best_rank, best_width = Dialect(delimiter=delimiters[0], quoting="double"), (0.0, 0.0), 1
    for delimiter in dict.fromkeys(delimiters):
        for quoting in ("double", "escape", "none"):
            dialect = Dialect(delimiter=delimiter, quoting=quoting)
            width, regular, clean = _try(sample, dialect, cut_short=cut_short)
            # Clean quotes decide between two readings that are about as regular, never against a more regular one.
            rank = (round(regular, 2) if width > 1 else 0.0, float(clean))
            if rank > best_rank:
                best, best_rank, best_width = dialect, rank, width
    return best, best_width


def _try(sample: str, dialect: Dialect, *, cut_short: bool) -> tuple[int, float, bool]:
    """Return the usual number of columns, the share of rows that have it, and whether all quotes are in their place."""
    widths: Counter[int] = Counter()
    clean = True
    try:
        for _, cells in _csv_rows(io.StringIO(sample, newline=""), dialect, strict=True):
            widths[len(cells)] += 1
    except csv.Error:
        # Of a sample cut short the last row may end within quotes. Anything else: read on without being strict.
        widths = Counter(len(cells) for _, cells in _csv_rows(io.StringIO(sample, newline=""), dialect))
        clean = cut_short and _ends_in_quotes(sample, dialect)
    if not widths:
        return 1, 0.0, False
    width, rows = widths.most_common(1)[0]
    return width, rows / widths.total(), clean


def _ends_in_quotes(sample: str, dialect: Dialect) -> bool:
    """Tell whether the only fault of a sample is that it ends within quotes."""
    try:
        for _ in _csv_rows(io.StringIO(sample + '"', newline=""), dialect, strict=True):
            pass
    except csv.Error:
        return False
    return True


def _csv_rows(
    file: io.TextIOBase | io.TextIOWrapper, dialect: Dialect, *, strict: bool = False
) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(1 << 30)  # 128 KiB by default; one text may be longer
    reader = csv.reader(
        file,
        delimiter=dialect.delimiter,
        quoting=csv.QUOTE_NONE if dialect.quoting == "none" else csv.QUOTE_MINIMAL,
        doublequote=dialect.quoting == "double",
        escapechar="\\" if dialect.quoting == "escape" else None,
        strict=strict,
    )
    line = 1
    for cells in reader:
        if any(cells):
            yield line, cells
        line = reader.line_num + 1


def _is_json(path: Path, sample: str) -> bool:
    first = sample.lstrip().splitlines()[0]
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return True
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _json_rows(path: Path, encoding: str) -> Iterator[tuple[int, dict[str, object] | str]]:
    with path.open(encoding=encoding) as file:
        start = next(
            (character for character in iter(lambda: file.read(1), "") if not character.isspace()), ""
        )
        file.seek(0)
        if start == "[":
            yield from _json_array(path, file.read())
            return
        for line, content in enumerate(file, start=1):
            if not content.strip():
                continue
            try:
                row = json.loads(content)
            except (ValueError, RecursionError) as error:
                yield line, f"no JSON ({error})"
                continue
            yield line, _object(row)


def _json_array(path: Path, content: str) -> Iterator[tuple[int, dict[str, object] | str]]:
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"--source text: must be JSON lines or one JSON array, `{path}` is not: {error}"
        ) from None
    for number, row in enumerate(rows, start=1):
        yield number, _object(row)


def _object(row: object) -> dict[str, object] | str:
    """Return a row that is an object of Unicode text, else what is wrong with it: JSON can spell half a character."""
    if not isinstance(row, dict):
        return "no JSON object"
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "half of a surrogate pair"
    except RecursionError:
        return "no JSON (too many levels)"
    return row


def _json_names(path: Path, encoding: str) -> tuple[str, ...]:
    keys = (row for _, row in _json_rows(path, encoding) if isinstance(row, dict))
    names = tuple(dict.fromkeys(itertools.chain.from_iterable(keys)))
    if len(names) > MOST_COLUMNS:
        raise InputError(
            f"--source text: must have at most {MOST_COLUMNS} different keys, `{path}` has {len(names)}; leave some out"
        )
    if len(names) < 2:
        raise InputError(
            f"--source text: must hold JSON objects with a label and a text, `{path}` has keys: "
            f"{', '.join(names) or 'none'}; write one object a line"
        )
    return names


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def numbered(width: int) -> Sequence[str]:
    """Return the names of columns that have none: their numbers, from 1."""
    return [str(number) for number in range(1, width + 1)]
