"""What a run measured: `metrics.jsonl` (one object a row) and TensorBoard, both in the run's folder."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from obstore.exceptions import BaseError

from model_code import store
from model_code.typed_json import parse

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FILE, BOARD = "metrics.jsonl", "tensorboard"
FLUSH_SECONDS = 30.0
"""Rows are seen from outside this much later at most, however far apart the checkpoints are."""


class Metrics:
    """Rows of one run. They appear in its folder at each `flush` and every half minute: a store cannot append."""

    def __init__(self, run: str, *, since: int) -> None:
        """Start, or go on after step `since`: rows of later steps belong to a past that was not saved."""
        from torch.utils.tensorboard import SummaryWriter  # who only reads rows does without torch

        self._run = run
        self._flushed = time.monotonic()
        self._rows = read_rows(run, since)
        self._folder = store.local_path(store.join(run, BOARD))
        self._temporary = None if self._folder else tempfile.TemporaryDirectory(prefix="skylift-")
        self._local = self._folder or Path(self._temporary.name if self._temporary else "")
        self._missed: set[str] = set()  # what could not be written
        self._board: SummaryWriter | None = None
        with self._bearing(BOARD):
            self._board = SummaryWriter(str(self._local), purge_step=since + 1 if since else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()
        with self._bearing(BOARD):
            if self._board:
                self._board.close()
        if self._temporary:
            self._temporary.cleanup()

    def row(self, step: int, split: str, **values: float) -> None:
        """Add one row: what was measured on a split after a step."""
        self._rows.append({"step": step, "split": split, **{k: round(v, 6) for k, v in values.items()}})
        with self._bearing(BOARD):
            for name, value in values.items():
                if self._board:
                    self._board.add_scalar(f"{split}/{name}", value, step)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write all rows so far; where that fails, the next flush writes them."""
        self._flushed = time.monotonic()
        text = "".join(json.dumps(row) + "\n" for row in self._rows)
        with self._bearing(FILE):
            store.write(store.join(self._run, FILE), text.encode())
        with self._bearing(BOARD):
            if self._board:
                self._board.flush()
            for path in self._local.iterdir() if self._temporary else ():
                store.upload(path, store.join(self._run, BOARD, path.name))

    @contextmanager
    def _bearing(self, file: str) -> Iterator[None]:
        """Bear a full disk or a lost store, and say so once: a curve is not worth a training."""
        try:
            yield
        except (OSError, BaseError) as error:
            if file == BOARD:
                self._board = None  # its writer does not recover
            if file not in self._missed:
                reason = (str(error).splitlines() or [""])[0]
                sys.stderr.write(f"warning: {store.join(self._run, file)} cannot be written: {reason}\n")
            self._missed.add(file)


def read_rows(run: str, since: int) -> list[dict[str, Any]]:
    """Return the rows of a run up to a step. A line that is no row (a torn one, of a copied file) is left out."""
    try:
        lines = store.read(store.join(run, FILE)).split(b"\n")
    except FileNotFoundError:
        return []
    rows = []
    for line in lines:
        try:
            row = parse(line)
        except ValueError:
            continue
        step = row.get("step") if isinstance(row, dict) else None
        if type(step) is int and step <= since:
            rows.append(row)
    return rows
