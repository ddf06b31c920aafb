"""What a run measured: `metrics.jsonl` (one object a row) and TensorBoard, both in the run's folder."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

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
        self._rows: list[dict[str, Any]] = [row for row in map(json.loads, lines) if row["step"] <= since]
        self._folder = store.local_path(store.join(run, BOARD))
        self._temporary = None if self._folder else tempfile.TemporaryDirectory(prefix="skylift-")
        self._local = self._folder or Path(self._temporary.name if self._temporary else "")
        self._board = SummaryWriter(str(self._local), purge_step=since + 1 if since else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()
        self._board.close()
        if self._temporary:
            self._temporary.cleanup()

    def row(self, step: int, split: str, **values: float) -> None:
        """Add one row: what was measured on a split after a step."""
        self._rows.append({"step": step, "split": split, **{k: round(v, 6) for k, v in values.items()}})
        for name, value in values.items():
            self._board.add_scalar(f"{split}/{name}", value, step)

    def flush(self) -> None:
        """Write all rows so far."""
        text = "".join(json.dumps(row) + "\n" for row in self._rows)
        store.write(store.join(self._run, FILE), text.encode())
        self._board.flush()
        if self._temporary:
            for path in self._local.iterdir():
                store.upload(path, store.join(self._run, BOARD, path.name))
