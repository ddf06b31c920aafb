"""A stage that is asked to end leaves by the way of an exception, so that its temporary folders go."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

from model_code import release
from model_code.compress import __main__ as compress
from model_code.data import write as data
from model_code.errors import exit_on_sigterm


class DeadError(Exception):
    """Without a way out, the process would be gone here."""


@pytest.fixture(autouse=True)
def before() -> Iterator[Callable[..., None]]:
    """What SIGTERM does to a stage that takes no care of it."""

    def die(*_: object) -> NoReturn:
        raise DeadError

    was = signal.signal(signal.SIGTERM, die)
    yield die
    signal.signal(signal.SIGTERM, was)


def asked_to_end(*_: object, **__: object) -> None:
    """Stand for the work in whose middle the word comes."""
    os.kill(os.getpid(), signal.SIGTERM)


def test_what_was_before_is_so_again(before: Callable[..., None]) -> None:
    """Only meanwhile."""
    with pytest.raises(SystemExit) as ended, exit_on_sigterm():
        asked_to_end()
    assert ended.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("stage", "work", "words"),
    [
        (
            release,
            "publish",
            ["publish", "--run", "file:///run", "--models", "file:///models", "--key", "KEY"],
        ),
        (compress, "compress", ["--run", "file:///run", "--serve-files", "serve"]),
        (data, "prepare", ["--source", "digits", "--out", "OUT"]),
    ],
    ids=["release", "compress", "data"],
)
def test_a_stage_takes_care(
    stage: ModuleType, work: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each one that makes temporary folders."""
    monkeypatch.setattr(stage, work, asked_to_end)
    with pytest.raises(SystemExit) as ended:
        stage.main([str(tmp_path) if word.isupper() else word for word in words])
    assert ended.value.code == 128 + signal.SIGTERM
