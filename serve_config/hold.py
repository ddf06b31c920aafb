"""Where requests wait while the model server is started again, in place of a 503.

The front sends them here (`server hold backup` in haproxy.cfg) as long as no proven server is in service. A connection
is held unread; once a server is proven, its bytes are passed on to it, and the answer's back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

CHUNK = 1 << 14
"""Bytes read at a time; a connection that is held keeps twice as many in memory."""

MOST_HELD = 256
"""Connections held at a time; the front queues what is more."""

RETRY_SECONDS = 0.05
"""Between two tries to reach a server that was proven and does not listen: its end is about to be noticed."""

TOO_LATE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
"""What the front gets, and tells its client in words of its own."""


class Hold:
    """Connections that wait for a proven server."""

    def __init__(self, path: Path, port: Callable[[], int], *, at_once: int, seconds: float) -> None:
        """Listen nowhere yet.

        Args:
            path: unix socket to listen on.
            port: returns the loopback port of the server that is in service.
            at_once: how many connections may be passed on at a time.
            seconds: how long one may wait.
        """
        self._path, self._port, self._seconds = path, port, seconds
        self._slots = asyncio.Semaphore(at_once)
        self._proven = asyncio.Event()
        self._relays: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_unix_server(
            self._relay, self._path, limit=CHUNK, backlog=MOST_HELD
        )

    def release(self) -> None:
        """Pass on what is held, and what still comes: a server is proven."""
        self._proven.set()

    def hold(self) -> None:
        """Hold what comes: the server is away."""
        self._proven.clear()

    async def stop(self) -> None:
        """Listen no more and close all connections."""
        if self._server:
            self._server.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _relay(self, front: asyncio.StreamReader, to_front: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task:
            self._relays.add(task)
            task.add_done_callback(self._relays.discard)
        try:
            async with contextlib.AsyncExitStack() as stack:
                try:
                    async with asyncio.timeout(self._seconds):
                        await stack.enter_async_context(self._slots)
                        server, to_server = await self._connect()
                except TimeoutError:
                    to_front.write(TOO_LATE)
                    return
                await _pipe((front, to_server), (server, to_front))
        finally:
            to_front.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            await self._proven.wait()
            try:
                return await asyncio.open_connection("127.0.0.1", self._port(), limit=CHUNK)
            except OSError:
                await asyncio.sleep(RETRY_SECONDS)


async def _pipe(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Copy both ways until either side is done; a request and its answer are over then."""
    copies = [asyncio.create_task(_copy(*way)) for way in ways]
    try:
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for copy in copies:
            copy.cancel()
        await asyncio.gather(*copies, return_exceptions=True)
        for _, writer in ways:
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while part := await reader.read(CHUNK):
            writer.write(part)
            await writer.drain()
