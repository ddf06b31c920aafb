"""Load on a node: kept connections that repeat nothing, and check every answer."""

from __future__ import annotations

import base64
import json
import math
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from infra.rehearsal.faults.connections import Connections
from serve_config.golden import Golden, difference
from serve_config.predictor import load
from tests.serving import NAME, picture
from tests.serving_node import RunningNode


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One kind of request."""

    path: str
    """Route."""
    content_type: str
    """MIME type of the body."""
    body: bytes
    """As it is sent."""
    chunked: bool = False
    """Whether it is sent without a length."""


def _tensor(seed: int) -> bytes:
    pixels = [float((seed * 7 + i * 13) % 256) for i in range(64)]
    tensor = {"name": "image", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": pixels}
    return json.dumps({"inputs": [tensor]}).encode()


PLAIN, OPEN = f"/predictions/{NAME}", f"/v2/models/{NAME}/infer"
ASKS = (
    *(Ask(path=PLAIN, content_type="image/png", body=picture(seed)) for seed in range(3)),
    Ask(
        path=PLAIN,
        content_type="application/json",
        body=json.dumps({"image": base64.b64encode(picture(3)).decode()}).encode(),
    ),
    Ask(path=OPEN, content_type="application/json", body=_tensor(4)),
    Ask(path=PLAIN, content_type="image/png", body=picture(5), chunked=True),
)
"""Both protocols, and a body whose length the front does not know (it takes another way through the node)."""


def own_answers(artifact: Path) -> list[Golden]:
    """Return what a release itself answers to all of them, without a server."""
    answers = load(artifact).answer([(ask.body, ask.content_type) for ask in ASKS])
    return [
        Golden(content_type=ask.content_type, body=ask.body, answer=answer)
        for ask, (_, answer) in zip(ASKS, answers, strict=True)
    ]


@dataclass(kw_only=True)
class Seen:
    """What became of the requests."""

    counts: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Answers by status and version."""
    failures: list[str] = field(default_factory=list)
    """Everything but a right answer with status 200, in words."""
    sent: list[tuple[float, str]] = field(default_factory=list)
    """When a request was sent, and which version answered it."""
    slowest: float = 0.0
    """Seconds of the slowest answer."""

    @property
    def answered(self) -> int:
        """All answers."""
        return sum(self.counts.values())

    def versions(self, after: float, before: float = math.inf) -> set[str]:
        """Return the versions that answered the requests sent between two moments."""
        return {version for sent, version in self.sent if after < sent < before}

    def answered_after(self, moment: float) -> int:
        """Return how many requests sent after a moment were answered."""
        return sum(sent > moment for sent, _ in self.sent[-2000:])


class Load(Connections):
    """Asks for everything by turns, and holds each version's answers to its own."""

    def __init__(
        self,
        node: RunningNode,
        answers: Mapping[str, Sequence[Golden]],
        connections: int,
        pause_seconds: float = 0.0,
    ) -> None:
        """Ask nothing yet.

        Args:
            node: whom to ask.
            answers: what each version answers.
            connections: how many ask at once.
            pause_seconds: between an answer and the next request of a connection; 0: as fast as the node goes.
        """
        self.seen = Seen()
        """Grows while it runs."""
        trust = ssl.create_default_context(cafile=node.facts["ca"])
        super().__init__(trust, connections, pause_seconds)
        self._node, self._answers = node, answers

    async def ask(self, session: aiohttp.ClientSession, number: int) -> None:
        """Send one, and keep what became of it."""
        number %= len(ASKS)
        ask, sent = ASKS[number], time.monotonic()
        body: Any = _in_chunks(ask.body) if ask.chunked else ask.body
        try:
            # A POST is never repeated by aiohttp, not on a kept connection that was closed either.
            answer = await session.post(
                f"{self._node.url}{ask.path}", data=body, headers={"content-type": ask.content_type}
            )
            content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.seen.failures.append(f"{ask.path}: {error!r}")
            return
        version = answer.headers.get("x-skylift-version", "")
        self.seen.counts[answer.status, version] += 1
        self.seen.sent.append((sent, version))
        self.seen.slowest = max(self.seen.slowest, time.monotonic() - sent)
        if version not in self._answers:
            self.seen.failures.append(f"{answer.status} of version `{version}`: {content[:200]!r}")
        elif wrong := difference(self._answers[version][number], answer.status, content):
            self.seen.failures.append(f"{version} answers otherwise than by itself: {wrong}")


async def _in_chunks(body: bytes) -> AsyncIterator[bytes]:
    for place in range(0, len(body), 32):
        yield body[place : place + 32]
