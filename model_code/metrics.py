"""What a run measured: `metrics.jsonl` (one object a row) and TensorBoard, both in the run's folder."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from obstore.exceptions import BaseError
from torch.utils.tensorboard import SummaryWriter

from model_code import store

FILE, BOARD = "metrics.jsonl", "tensorboard"


class Metrics:
    """Rows of one run. They appear in the run's folder at each `flush`: an object store cannot append."""

    def __init__(self, run: str, *, since: int) -> None:
        """Start, or go on after step `since`: rows of later steps belong to a past that was not saved."""
        self._run = run
        try:
            lines = store.read(store.join(run, FILE)).decode().splitlines()
        except FileNotFoundError:
            lines = []
        rows = map(json.loads, lines)
        # The loss of a step is heard during the next one: whoever goes on after it writes its row again.
        self._rows: list[dict[str, Any]] = [
            row for row in rows if row["step"] < since or (row["step"] == since and row["split"] != "train")
        ]
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

    def flush(self) -> None:
        """Write all rows so far; where that fails, the next flush writes them."""
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
