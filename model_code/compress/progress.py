"""The progress of a compression, on stderr: one bar for what goes on, one line for each finished candidate."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class CompressProgress:
    """A bar whose text and length change with the work in hand."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("compress", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self, what: str, done: int, total: int) -> None:
        """Show what goes on and how far it is."""
        self._bar.update(self._task, description=what, completed=done, total=total)

    def say(self, line: str) -> None:
        """Print a line above the bar, which then waits for the next piece of work."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
        self._bar.update(self._task, description="export and measure", completed=0, total=None)
