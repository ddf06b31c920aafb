"""torchrun ends in one line, whatever ended it."""

from __future__ import annotations

import pytest

from model_code import launch
from tests.conftest import free_port


def test_a_meeting_point_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The leader is gone before its followers could join: exit code 1, no stack trace."""
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
