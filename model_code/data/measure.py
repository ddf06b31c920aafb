"""What is measured of a table's columns, over all rows, to tell labels from texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MAX_CLASSES = 1000
"""Most different values of a guessed label column."""
MAX_LABEL_CHARACTERS = 100
"""Longest value of a guessed label column."""
PROSE_ROWS = 2000
"""Rows whose words are counted."""


@dataclass(kw_only=True)
class Column:
    """What was measured of one column, the first row of the file left out."""

    rows: int = 0
    """Rows seen."""
    filled: int = 0
    """Rows that are not empty."""
    characters: int = 0
    """Characters in all."""
    longest: int = 0
    """Characters of the longest cell."""
    values: set[str] = field(default_factory=set)
    """Different values, up to one above `MAX_CLASSES`."""
    words: int = 0
    """Words in the first `PROSE_ROWS` filled rows."""
    letters: int = 0
    """Letters among their characters that are no white space."""
    marks: int = 0
    """Their characters that are no white space."""

    def add(self, cell: str) -> None:
        """Take one row into account."""
        cell = cell.strip()
        self.rows += 1
        if not cell:
            return
        if self.filled < PROSE_ROWS:
            parts = cell.split()
            self.words += len(parts)
            self.marks += sum(map(len, parts))
            self.letters += sum(map(str.isalpha, cell))
        self.filled += 1
        self.characters += len(cell)
        self.longest = max(self.longest, len(cell))
        if len(self.values) <= MAX_CLASSES:
            self.values.add(cell)

    @property
    def mean(self) -> float:
        """Mean characters of a row."""
        return self.characters / max(1, self.rows)

    @property
    def could_label(self) -> bool:
        """Few values, all short, that come again and again, in nearly every row."""
        # Three a value at least, one of which may have been the first row.
        repeated = 2 <= len(self.values) <= min(MAX_CLASSES, (self.filled + 1) // 3)
        return repeated and self.longest <= MAX_LABEL_CHARACTERS and self.filled >= 0.9 * self.rows

    @property
    def is_prose(self) -> bool:
        """Words rather than codes, names or dates, different from row to row."""
        counted = max(1, min(self.filled, PROSE_ROWS))
        varied = len(self.values) > min(MAX_CLASSES, self.filled / 2)
        letters = self.letters >= 0.7 * self.marks
        return varied and letters and self.words >= 3 * counted and self.filled >= 0.5 * self.rows


def measure(rows: Iterable[Sequence[str]], width: int) -> list[Column]:
    """Return what is to be known of each column."""
    columns = [Column() for _ in range(width)]
    for cells in rows:
        for column, cell in zip(columns, cells, strict=True):
            column.add(cell)
    return columns
