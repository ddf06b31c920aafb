"""The progress of a compression: one bar for what goes on, one line for each finished candidate."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from model_code.progress import Bar


class CompressProgress(Bar):
    """A bar whose text and length change with the work in hand."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        super().__init__(console, columns)
        self._task = self._bar.add_task("compress", total=None)

    def step(self, what: str, done: int, total: int) -> None:
        """Show what goes on and how far it is."""
        self._bar.update(self._task, description=what, completed=done, total=total)

    def say(self, line: str) -> None:
        """Print a line above the bar, which then waits for the next piece of work."""
        super().say(line)
        self._bar.update(self._task, description="export and measure", completed=0, total=None)
