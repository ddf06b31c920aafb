"""A store that does not answer: its machine hangs as a whole, and nobody would find the hang by it."""

from __future__ import annotations

import os
import threading

import pytest

from model_code.hang import HangWatch, Marks
from model_code.parallel import World


class FrozenStore:
    """Takes what is first written, and then answers nobody."""

    def __init__(self) -> None:
        self.frozen, self.thawed = False, threading.Event()

    def set(self, *_: str) -> None:
        """Hang, once frozen."""
        if self.frozen:
            self.thawed.wait()
        self.frozen = True

    def check(self, _: list[str]) -> bool:
        """Know of nobody."""
        return False


def test_a_process_ends_whose_store_is_frozen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within about a window; else it would wait for minutes in a collective."""
    ended, store = threading.Event(), FrozenStore()
    monkeypatch.setattr(os, "_exit", lambda _: ended.set())
    watch = HangWatch("file:///nowhere", World(rank=1, local_rank=0, world_size=2), Marks(), 1.0)
    monkeypatch.setattr(watch, "_store", store)
    watch.__enter__()
    assert ended.wait(30)
    watch._over.set()
    store.thawed.set()
    assert "error: the trainers' store does not answer for 1 s" in capsys.readouterr().err
