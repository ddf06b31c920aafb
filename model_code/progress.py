"""Progress on stderr: a bar that a stage moves, and a line for each thing worth keeping in a log."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def say(line: str) -> None:
    """Print a line where no bar is shown, at once and whole."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class Bar:
    """A bar of some columns, shown while it is entered."""

    def __init__(self, console: Console, columns: Sequence[ProgressColumn], *, shown: bool = True) -> None:
        """Take the columns; not `shown`: no bar is drawn."""
        self._console = console
        self._bar = Progress(*columns, console=console, disable=not shown, transient=True)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class TrainProgress(Bar):
    """The bar of a training, with loss, samples a second and remaining time; shown by rank 0 only."""

    def __init__(self, *, steps: int, done: int, shown: bool) -> None:
        """Start a bar of `steps`, of which `done` are already behind; not `shown`: nothing is printed."""
        columns = (
            TextColumn("train"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}"),
            TextColumn("{task.fields[speed]:,.0f} samples/s"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        super().__init__(Console(stderr=True, quiet=not shown), columns, shown=shown)
        self._task = self._bar.add_task("train", total=steps, completed=done, loss=0.0, speed=0.0)

    def step(self, done: int, loss: float, speed: float) -> None:
        """Show the state after a step."""
        self._bar.update(self._task, completed=done, loss=loss, speed=speed)


class PredictProgress(Bar):
    """The bar of a batch prediction, in ranges; shown by rank 0 only, while every rank may say something."""

    def __init__(self, *, ranges: int, shown: bool) -> None:
        """Start a bar of `ranges`."""
        columns = (
            TextColumn("predict"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("ranges"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        super().__init__(Console(stderr=True), columns, shown=shown)
        self._task = self._bar.add_task("predict", total=ranges)

    def at(self, done: int) -> None:
        """Show how many ranges are done."""
        self._bar.update(self._task, completed=done)
