"""The progress bar of a training, on stderr, shown by rank 0 only."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class TrainProgress:
    """A bar with loss, samples a second and remaining time, and a line for each thing worth keeping in a log."""

    def __init__(self, *, steps: int, done: int, shown: bool) -> None:
        """Start a bar of `steps`, of which `done` are already behind; not `shown`: nothing is printed."""
        self._console = Console(stderr=True, quiet=not shown)
        self._bar = Progress(
            TextColumn("train"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}"),
            TextColumn("{task.fields[speed]:,.0f} samples/s"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not shown,
            transient=True,
        )
        self._task = self._bar.add_task("train", total=steps, completed=done, loss=0.0, speed=0.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self, done: int, loss: float, speed: float) -> None:
        """Show the state after a step."""
        self._bar.update(self._task, completed=done, loss=loss, speed=speed)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._console.print(line, highlight=False, markup=False)
