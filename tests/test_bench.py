"""What the README quotes is what the benchmark wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.__main__ import tables
from tests.bench.tables import BEGIN, END, replace_block

ROOT = Path(__file__).parents[1]


def test_the_readme_quotes_the_recorded_tables() -> None:
    """README and RESULTS.md both hold the tables of the recorded measurements, digit by digit."""
    readme = (ROOT / "README.md").read_text()
    assert readme.partition(BEGIN)[2].partition(END)[0].strip() == tables()
    assert (ROOT / "tests" / "bench" / "RESULTS.md").read_text() == f"# Measured\n\n{tables()}\n"


def test_only_the_block_between_the_markers_changes() -> None:
    """Everything around the block stays; without markers nothing is written."""
    assert replace_block(f"a\n{BEGIN}\nold\n{END}\nb", "new") == f"a\n{BEGIN}\nnew\n{END}\nb"
    with pytest.raises(ValueError, match="one of them is missing"):
        replace_block("a", "new")
