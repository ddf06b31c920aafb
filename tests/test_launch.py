"""torchrun ends in one line, whatever ended it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from model_code import launch
from tests.conftest import free_port


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made meanwhile."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("entry", [None, lambda _: None])
def test_nothing_of_torchrun_s_is_left(entry: Callable[[list[str]], None] | None, temporary: Path) -> None:
    """It makes a folder for logs that it does not remove."""
    meeting = ["--rdzv-backend", "c10d", "--rdzv-id", "1", "--rdzv-endpoint", f"127.0.0.1:{free_port()}"]
    assert launch.main([*meeting, "--nproc-per-node", "1", "-m", "platform"], entry) == 0
    assert list(temporary.iterdir()) == []


def test_a_meeting_point_that_is_not_there_is_one_line(
    capsys: pytest.CaptureFixture[str], temporary: Path
) -> None:
    """The leader is gone before its followers could join: exit code 1, no stack trace, nothing left."""
    words = [
        *("--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", "1"),
        *("--rdzv-endpoint", f"127.0.0.1:{free_port()}", "--rdzv-conf", "is_host=false,read_timeout=1"),
        *("-m", "model_code.train"),
    ]
    assert launch.main(words) == 1
    said = capsys.readouterr().err
    assert "error: the trainers cannot meet any more (" in said
    assert said.rstrip().endswith("start the same again")
    assert "Traceback" not in said
    assert list(temporary.iterdir()) == []
