"""So many kept connections that ask one thing after the other, in a thread of their own."""

from __future__ import annotations

import asyncio
import ssl
import threading
from types import TracebackType
from typing import Self

import aiohttp

from infra.cli.errors import RunFailedError

SECONDS = 60.0
"""A request that gets no answer for so long has failed."""


class Connections:
    """They ask from `with` to the end of it; who inherits says what."""

    def __init__(self, trust: ssl.SSLContext, connections: int, pause_seconds: float) -> None:
        """Ask nothing yet.

        Args:
            trust: what the certificate of whom they ask is checked with.
            connections: how many there are.
            pause_seconds: between an answer and the next request of a connection; 0: as fast as answers come.
        """
        self._trust, self._connections, self._pause_seconds = trust, connections, pause_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True, name="load")

    async def ask(self, session: aiohttp.ClientSession, number: int) -> None:
        """Ask once; an answer that is wrong or does not come is kept, not raised.

        Args:
            session: through it.
            number: one more at each request of a connection, which began with its own number.
        """
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(2 * SECONDS)
        if self._thread.is_alive():
            raise RunFailedError(f"the load must end within {2 * SECONDS:.0f} s, it does not")

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(limit=self._connections, ssl=self._trust)
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await asyncio.gather(*(self._ask_on(session, number) for number in range(self._connections)))

    async def _ask_on(self, session: aiohttp.ClientSession, number: int) -> None:
        while not self._stop.is_set():
            number += 1
            await self.ask(session, number)
            await asyncio.sleep(self._pause_seconds)
