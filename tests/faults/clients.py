"""Clients that keep a node busy: N connections, each with one request at a time, and no second try of any."""

from __future__ import annotations

import asyncio
import random
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlparse

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

PATIENCE_SECONDS = 90.0
"""A request without an answer for so long has failed."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request and what came of it; times in `time.monotonic` seconds."""

    begun: float
    """When its first byte was sent (or the connection for it was asked for)."""
    ended: float
    """When its last byte was there, or the failure."""
    status: int
    """HTTP status; 0 where there was no answer."""
    reason: str = ""
    """Why there was none, or what the answer said if it was not 200."""
    retry_after: bool = False
    """Whether the answer says when to come back."""


class Clients:
    """What all connections saw, so far."""

    def __init__(self, url: str, certificate: str, body: bytes, content_type: str) -> None:
        """Ask for nothing yet.

        Args:
            url: of the model.
            certificate: the node's, a file.
            body: of every request.
            content_type: its MIME type.
        """
        parsed = urlparse(url)
        self._address = (parsed.hostname or "", parsed.port or 443)
        self._context = ssl.create_default_context(cafile=certificate)
        head = f"POST {parsed.path} HTTP/1.1\r\nHost: {parsed.netloc}\r\nContent-Type: {content_type}\r\n"
        self._request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self._stop = threading.Event()
        self.asked: list[Asked] = []
        """All requests that have ended."""

    @property
    def failures(self) -> list[Asked]:
        """Requests without a good answer."""
        return [one for one in list(self.asked) if one.status != 200]

    @property
    def statuses(self) -> Counter[int]:
        """How often each status came; 0 stands for no answer."""
        return Counter(one.status for one in list(self.asked))

    def good_after(self, moment: float) -> float | None:
        """Return when the first request begun after a moment had its good answer, None for not yet."""
        good = [one.ended for one in list(self.asked) if one.begun > moment and one.status == 200]
        return min(good) if good else None

    def latencies(self, status: int) -> list[float]:
        """Return how long the answers of a status took, sorted."""
        return sorted(one.ended - one.begun for one in list(self.asked) if one.status == status)

    @contextmanager
    def asking(self, connections: int) -> Iterator[Clients]:
        """Ask on so many connections, the next request right after an answer, until the end."""

        async def all_of_them() -> None:
            await asyncio.gather(*(self._connection() for _ in range(connections)))

        with self._running(all_of_them):
            yield self

    @contextmanager
    def offering(self, rate: float, seed: int) -> Iterator[Clients]:
        """Offer so many requests a second at random moments (a Poisson process), whatever becomes of them."""

        async def offer() -> None:
            rng, free, due = random.Random(seed), list[Streams](), time.monotonic()
            async with asyncio.TaskGroup() as group:
                while not self._stop.is_set():
                    due += rng.expovariate(rate)
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                    group.create_task(self._lent(free))
            for _, writer in free:
                writer.transport.abort()

        with self._running(offer):
            yield self

    @contextmanager
    def _running(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Iterator[None]:
        thread = threading.Thread(target=lambda: asyncio.run(work()), name="clients")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    async def _lent(self, free: list[Streams]) -> None:
        if streams := await self._ask(free.pop() if free else None):
            free.append(streams)

    async def _connection(self) -> None:
        streams = None
        while not self._stop.is_set():
            streams = await self._ask(streams)
        if streams:
            streams[1].transport.abort()

    async def _ask(self, streams: Streams | None) -> Streams | None:
        """Ask once; return the connection, where it can be used again."""
        begun, retry_after, reason = time.monotonic(), False, ""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                streams = streams or await asyncio.open_connection(*self._address, ssl=self._context)
                streams[1].write(self._request)
                status, headers, content = await _answer(streams[0])
            retry_after = b"\r\nretry-after:" in headers
            reason = "" if status == 200 else content.decode(errors="replace")
            closing = b"\r\nconnection: close" in headers
        except (OSError, EOFError, TimeoutError) as error:
            status, reason, closing = 0, repr(error), True
        ended = time.monotonic()
        self.asked.append(
            Asked(begun=begun, ended=ended, status=status, reason=reason, retry_after=retry_after)
        )
        if closing and streams:
            streams[1].transport.abort()
        return None if closing else streams


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    headers = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(headers.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
    return int(headers[9:12]), headers, await reader.readexactly(length)
