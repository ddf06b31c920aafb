"""A run's rows are seen from outside while it trains, however rare its checkpoints are."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_code import metrics
from model_code.checkpoint.files import newest_step
from model_code.metrics import Metrics, read_rows


def test_rows_appear_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at once: a store cannot append; and those after the checkpoint are cut when it is resumed."""
    run = tmp_path.as_uri()
    with Metrics(run, since=0) as curve:
        curve.row(10, "train", loss=1.0)
        assert read_rows(run, 1000) == []
        monkeypatch.setattr(metrics, "FLUSH_SECONDS", 0.0)
        curve.row(20, "train", loss=0.5)
        assert [row["step"] for row in read_rows(run, 1000)] == [10, 20]
    with Metrics(run, since=10) as curve:
        curve.row(20, "train", loss=0.6)
    assert [row["loss"] for row in read_rows(run, 1000)] == [1.0, 0.6]


def test_the_newest_checkpoint_is_one_with_its_manifest(tmp_path: Path) -> None:
    """One that is being written does not count."""
    assert newest_step(tmp_path.as_uri()) == 0
    for step, file in ((20, "manifest.json"), (40, "manifest.json"), (60, "progress.json")):
        folder = tmp_path / f"step-{step:09d}"
        folder.mkdir()
        (folder / file).write_text("{}")
    assert newest_step(tmp_path.as_uri()) == 40
