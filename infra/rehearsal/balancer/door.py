"""A way into the rehearsal's network for callers outside: a TCP port of this machine, handed on to a UNIX socket.

Bytes are passed as they come: TLS reaches from the caller to the balancer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

CHUNK = 65536
"""Bytes that are handed on at once."""


@asynccontextmanager
async def door(path: Path, *, address: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """Open the door and yield its port; closed afterwards, with all connections through it.

    Args:
        path: the balancer's UNIX socket.
        address: IP address that callers come to.
        port: TCP port; 0: any that is free.
    """

    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with contextlib.AsyncExitStack() as closing:
            closing.callback(writer.close)
            try:
                inner_reader, inner_writer = await asyncio.open_unix_connection(str(path))
            except OSError:
                return  # nobody is behind it now: the caller sees its connection closed
            closing.callback(inner_writer.close)
            with contextlib.suppress(ConnectionError):
                await _both(_pass(reader, inner_writer), _pass(inner_reader, writer))

    tasks: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(through(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accepted, address, port)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _both(*ways: Coroutine[None, None, None]) -> None:
    """Hand on both ways; where one breaks, the other is ended too.

    Raises:
        ConnectionError: one broke.
    """
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on until the sender has closed its half, then close ours."""
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()
