"""The table of faults: what is quoted is what was recorded, and a broken promise shows."""

from __future__ import annotations

from pathlib import Path

from tests.faults.__main__ import injected, tables
from tests.faults.fault import Fault, Seen
from tests.faults.table import BEGIN, END, table

ROOT = Path(__file__).parents[1]


def test_the_readme_quotes_the_recorded_faults() -> None:
    """README and RESULTS.md both hold the recorded table, digit by digit."""
    readme = (ROOT / "README.md").read_text()
    assert readme.partition(BEGIN)[2].partition(END)[0].strip() == tables()
    assert (ROOT / "tests" / "faults" / "RESULTS.md").read_text() == f"# Faults\n\n{tables()}\n"


def test_a_broken_promise_is_counted_and_told() -> None:
    """Of three injections one breaks its promise: 2 of 3, with the reason; recovery is of the others."""
    seconds = iter([1.0, None, 3.0])

    def inject(folder: Path) -> Seen:
        assert folder.is_dir()
        took = next(seconds)
        assert took is not None, "a request failed"
        return Seen(what="0 of 9 requests failed", recovery_seconds=took)

    found = injected(Fault(name="kill", promise="nothing fails", inject=inject, times=3), 3)
    assert (found["kept"], found["times"], found["recovery"]) == (2, 3, [1.0, 2.0, 3.0])
    assert found["broken"][0].startswith("a request failed")
    assert "| kill | nothing fails | 2 of 3 | 0 of 9 requests failed; broken: a request failed" in table(
        {"serving": [found]}
    )
