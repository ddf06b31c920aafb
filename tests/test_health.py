"""Readiness tells the truth: wrong answers, missing and stuck workers make a node unready, overload does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from serve_config.errors import ServeFailedError
from serve_config.golden import Golden, difference
from serve_config.health import Health
from serve_config.torchserve import TorchServe, Worker

ANSWER = {"label": "3", "score": 0.9, "scores": {"3": 0.9, "4": 0.1}}
GOLDEN = Golden(content_type="image/png", body=b"x", answer=ANSWER)


class FakeServer:
    """A model server of two workers that take turns, as TorchServe's idle ones do."""

    def __init__(self) -> None:
        self.pids = [os.getpid(), os.getppid()]
        self.answering: list[int] = []  # all
        self.loaded = [True, True]
        self.answer: Any = ANSWER
        self.status = 200
        self.own = True
        self.down = self.full = False
        self.ages = dict.fromkeys([*self.pids, 1], 0.0)
        self.ticks = 0
        self.sent = 0

    async def workers(self) -> list[Worker]:
        """Return the workers, or fail."""
        if self.down:
            raise httpx.ConnectError("down")
        return [Worker(pid=p, ready=r) for p, r in zip(self.pids, self.loaded, strict=True)]

    async def predict(self, body: bytes, content_type: str, seconds: float) -> httpx.Response:
        """Answer by the worker whose turn it is."""
        assert (body, content_type) == (b"x", "image/png")
        assert seconds > 0
        if self.full:
            raise httpx.ReadTimeout("full")
        self.sent += 1
        answering = self.answering or self.pids
        headers = {"x-skylift-worker": str(answering[self.sent % len(answering)])} if self.own else {}
        return httpx.Response(self.status, json=self.answer, headers=headers)

    def pulse_age(self, pid: int, now: float) -> float:  # noqa: ARG002 - as the real one
        """Return what the test says."""
        return self.ages[pid]

    def processor_ticks(self, pid: int) -> int:  # noqa: ARG002 - as the real one
        """Return what the test says."""
        return self.ticks


def health_of(server: FakeServer) -> Health:
    """Return a health that watches the fake."""
    return Health(cast("TorchServe", server), [GOLDEN], workers=2, stuck_seconds=8)


def proven() -> tuple[FakeServer, Health]:
    """Return a fake and a health that has proven it."""
    server = FakeServer()
    health = health_of(server)
    asyncio.run(health.prove(time.monotonic() + 5))
    assert health.unready() is None
    return server, health


def look(health: Health) -> None:
    """Do one round of watching."""

    async def once() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(health.watch(60), 0.1)

    asyncio.run(once())


def test_a_node_is_unready_until_it_is_proven() -> None:
    """Nothing is taken for granted at the start."""
    assert "golden answers" in (health_of(FakeServer()).unready() or "")


def test_the_proof_needs_an_answer_of_every_worker() -> None:
    """All golden requests are sent, and on until both workers have answered one."""
    server, _ = proven()
    assert server.sent >= 2


def test_a_wrong_golden_answer_is_no_proof() -> None:
    """A model that answers otherwise is not served, and the message says where it differs."""
    server = FakeServer()
    server.answer = ANSWER | {"label": "4"}
    with pytest.raises(ServeFailedError, match=r"answer\.label is 4, golden is 3"):
        asyncio.run(health_of(server).prove(time.monotonic() + 5))


def test_a_model_that_never_loads_is_no_proof() -> None:
    """The deadline ends the wait, and the message counts the workers."""
    server = FakeServer()
    server.loaded = [True, False]
    with pytest.raises(ServeFailedError, match="1 of 2 workers are ready"):
        asyncio.run(health_of(server).prove(time.monotonic() + 0.2))


def test_a_model_that_fails_on_every_request_is_no_proof() -> None:
    """Answers that are TorchServe's own are tried again, but not for ever."""
    server = FakeServer()
    server.own, server.status = False, 503
    with pytest.raises(ServeFailedError, match="do not answer golden requests"):
        asyncio.run(health_of(server).prove(time.monotonic() + 5))


def test_a_wrong_answer_later_makes_it_unready_until_it_is_right_again() -> None:
    """A model that goes wrong while it serves is noticed."""
    server, health = proven()
    server.answer = ANSWER | {"score": 0.7}
    look(health)
    assert "answer.score is 0.7, golden is 0.9" in (health.unready() or "")
    server.answer = ANSWER
    look(health)
    assert health.unready() is None


def test_overload_is_not_unready() -> None:
    """Golden requests that get no turn say nothing, as long as the workers show progress."""
    server, health = proven()
    server.full = True
    look(health)
    assert health.unready() is None


def test_a_server_that_does_not_answer_is_unready() -> None:
    """Without TorchServe's word on its workers nothing is known."""
    server, health = proven()
    server.down = True
    look(health)
    assert "does not answer" in (health.unready() or "")


def test_a_missing_worker_is_unready() -> None:
    """Fewer workers than expected is not ready."""
    server, health = proven()
    server.loaded = [True, False]
    look(health)
    assert health.unready() == "1 of 2 workers are ready"


def test_what_comes_is_held_while_the_last_worker_is_started_again() -> None:
    """The front is told when no worker is left, and again when one is back."""
    server, told = FakeServer(), list[bool]()

    async def serving(may_come: bool) -> None:
        told.append(may_come)
        server.loaded = [True, True]

    async def lose_them() -> None:
        health = Health(cast("TorchServe", server), [GOLDEN], workers=2, stuck_seconds=8, serving=serving)
        await health.prove(time.monotonic() + 5)
        server.loaded = [False, False]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(health.watch(60), 0.5)

    asyncio.run(lose_them())
    assert told == [False, True]


def test_a_draining_node_is_unready() -> None:
    """A node that is about to stop wants no more requests."""
    _, health = proven()
    health.draining = True
    assert health.unready() == "the node is draining"


@pytest.fixture
def child() -> Iterator[int]:
    """A process that may be killed."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("age", "works", "killed"), [(9, False, True), (9, True, False), (33, True, True), (7, False, False)]
)
def test_only_a_stuck_worker_is_replaced(child: int, age: float, works: bool, killed: bool) -> None:
    """Without progress and processor time a worker is killed; one that computes gets four times as long."""
    server, health = proven()
    server.pids[1] = child
    server.ages = {os.getpid(): 0.0, child: age}
    server.ticks = 1 if works else 0
    look(health)
    server.ticks = 2 if works else 0
    stuck = health.unready() is not None
    look(health)
    assert stuck == (age > 8)
    assert bool(health.stuck_workers) == killed
    status = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
    assert (status == "Z") == killed


@pytest.mark.parametrize(
    ("status", "found", "words"),
    [
        (200, ANSWER, None),
        (200, ANSWER | {"score": 0.9005}, None),
        (200, ANSWER | {"score": 0.902}, "answer.score"),
        (200, ANSWER | {"scores": {"3": 0.9, "4": 0.2}}, "answer.scores.4"),
        (200, ANSWER | {"scores": {"3": 0.9}}, "answer.scores"),
        (200, ANSWER | {"label": 3}, "answer.label"),
        (200, {"label": "3"}, "answer is"),
        (200, [], "answer is"),
        (503, {"error": "x"}, "status 503"),
    ],
)
def test_differences_from_the_golden_answer(status: int, found: Any, words: str | None) -> None:
    """Labels must be equal and numbers within 0.001; what differs is named."""
    difference_found = difference(GOLDEN, status, json.dumps(found).encode())
    assert (difference_found is None) if words is None else (words in (difference_found or ""))


def watched(
    queue_seconds: float, rounds: int, change: dict[int, list[int]], answers: list[int]
) -> list[float]:
    """Watch a server whose workers change before some rounds; return what was told to be lost, and when.

    Args:
        queue_seconds: how long a request may have waited elsewhere.
        rounds: how many to watch.
        change: number of a round -> the workers from then on.
        answers: the workers that answer golden requests.
    """
    server, lost = FakeServer(), []

    async def tell(seconds: float) -> None:
        lost.append(seconds)

    health = Health(
        cast("TorchServe", server),
        [GOLDEN],
        workers=2,
        stuck_seconds=8,
        lost=tell,
        queue_seconds=queue_seconds,
    )

    async def watch() -> None:
        await health.prove(time.monotonic() + 5)
        for number in range(rounds):
            server.pids = change.get(number, server.pids)
            server.answering = answers
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(health.watch(60), 0.02)

    asyncio.run(watch())
    return lost


def test_requests_that_died_with_a_worker_are_told_once_all_workers_have_answered_later_ones() -> None:
    """A new worker means that an old one died: after a whole round, what is older than its death is lost, once."""
    old, new = os.getpid(), os.getppid()
    assert len(watched(0, 3, {1: [old, 1]}, [old, 1])) == 1
    assert watched(0, 3, {}, [old, new]) == []


def test_nothing_is_lost_while_a_worker_may_still_answer_it() -> None:
    """Neither while one of them has answered nothing since, nor while requests may come from the front's queue."""
    old = os.getpid()
    assert watched(0, 3, {1: [old, 1]}, [old]) == []
    assert watched(60, 3, {1: [old, 1]}, [old, 1]) == []
