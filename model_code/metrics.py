"""What a run measured: `metrics.jsonl` (one object a row) and TensorBoard, both in the run's folder."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch.utils.tensorboard import SummaryWriter

from model_code import store
from model_code.typed_json import parse

FILE, BOARD = "metrics.jsonl", "tensorboard"


class Metrics:
    """Rows of one run. They appear in the run's folder at each `flush`: an object store cannot append."""

    def __init__(self, run: str, *, since: int) -> None:
        """Start, or go on after step `since`: rows of later steps belong to a past that was not saved."""
        self._run = run
        self._rows = read_rows(run, since)
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
