"""Load on the release through the load balancer: kept connections that repeat nothing, and check every answer."""

from __future__ import annotations

import base64
import json
import math
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from infra.rehearsal.faults.connections import Connections
from infra.rehearsal.faults.waiting import until

CONNECTIONS = 8
PAUSE_SECONDS = 0.05
"""Between an answer and the next request of a connection: two cores must boot nodes meanwhile."""
TOLERANCE = 1e-3
"""Largest difference of a number in an answer: processors and batches round differently."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One request whose answer is known."""

    body: bytes
    """As it is sent."""
    content_type: str
    """MIME type of the body."""
    answer: dict[str, Any]
    """What the release answered when it passed the gate."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where and as whom to ask."""

    url: str
    """The load balancer's `/predictions/NAME`."""
    address: str
    """Where its name leads to."""
    trust: ssl.SSLContext
    """What its certificate is checked with."""
    token: str
    """Shown with every request."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What became of a request."""

    begun: float
    """When it was sent, on the monotonic clock."""
    ended: float
    """When it was answered, or had failed."""
    status: int
    """HTTP status; 0: the connection failed."""
    wrong: str
    """What is wrong with its answer; empty: it is the right one."""


def questions(model: bytes) -> tuple[Question, ...]:
    """Return the golden requests of a release's `model.json`."""
    return tuple(
        Question(body=base64.b64decode(one["body"]), content_type=one["content_type"], answer=one["answer"])
        for one in json.loads(model)["golden"]
    )


def same(expected: object, found: object) -> bool:
    """Tell whether an answer is the known one."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(same(expected[key], found[key]) for key in expected)
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(same, expected, found))
    numbers = isinstance(expected, int | float) and isinstance(found, int | float)
    return math.isclose(expected, found, abs_tol=TOLERANCE) if numbers else expected == found  # type: ignore[arg-type]


class Load(Connections):
    """Asks for what is known, and checks every answer."""

    def __init__(self, door: Door, asked: Sequence[Question], connections: int = CONNECTIONS) -> None:
        """Ask nothing yet."""
        self.done: list[Asked] = []
        """Grows while it runs."""
        super().__init__(door.trust, connections, PAUSE_SECONDS)
        self._door, self._questions = door, asked

    def since(self, moment: float) -> list[Asked]:
        """Return the requests that ended after a moment."""
        return [one for one in list(self.done) if one.ended > moment]

    def await_good(self, moment: float, number: int = 50) -> float:
        """Return when the first request that was sent after a moment was answered rightly, once so many were.

        Raises:
            NotRecoveredError: they were not.
        """

        def good() -> list[Asked]:
            found = [one for one in self.since(moment) if one.begun > moment and not one.wrong]
            return found if len(found) >= number else []

        return min(one.ended for one in until(good, f"{number} right answers"))

    async def ask(self, session: aiohttp.ClientSession, number: int) -> None:
        """Send one question, and keep what became of it."""
        question = self._questions[number % len(self._questions)]
        door, begun, status, content = self._door, time.monotonic(), 0, b""
        host = door.url.partition("://")[2].partition("/")[0]
        headers = {"authorization": f"Bearer {door.token}", "content-type": question.content_type}
        try:
            # A POST is never repeated by aiohttp, not on a kept connection that was closed either.
            async with session.post(
                door.url.replace(host, door.address, 1),
                data=question.body,
                headers={**headers, "host": host},
                server_hostname=host,
            ) as answer:
                content, status = await answer.read(), answer.status
            wrong = _wrong(question, status, content)
        except (aiohttp.ClientError, TimeoutError) as error:
            wrong = f"{type(error).__name__}: {error}"
        self.done.append(Asked(begun=begun, ended=time.monotonic(), status=status, wrong=wrong))


def _wrong(question: Question, status: int, content: bytes) -> str:
    if status != 200:
        return f"status {status}: {content[:100].decode(errors='replace')}"
    try:
        found = json.loads(content)
    except ValueError:
        return f"no JSON: {content[:60]!r}"
    return "" if same(question.answer, found) else f"answered {found}, golden is {question.answer}"
