"""The client of the inference API: many requests at once over a few kept connections."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from infra.cli.errors import InputError

TIMEOUT_SECONDS = 60.0
"""Of one request, waiting in the server's queue included."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request to `/predictions/NAME`."""

    body: bytes
    """As sent."""
    content_type: str
    """MIME type of the body."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    """HTTP status; 0 when the connection failed."""
    body: dict[str, Any]
    """The JSON object, or `{"error": …}` made here when there was none."""
    milliseconds: float
    """From sending to the last byte."""


class OneAddress(AbstractResolver):
    """Finds every host at one address: where DNS does not know the name yet, or leads elsewhere."""

    def __init__(self, address: str) -> None:
        """Look nothing up.

        Args:
            address: IPv4 address.
        """
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the address."""
        return [
            ResolveResult(
                hostname=host,
                host=self._address,
                port=port,
                family=family,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Keep nothing open."""


def send_all(
    url: str,
    requests: Sequence[Request],
    *,
    ca: Path | None,
    concurrency: int,
    answered: Callable[[], None],
    token: str = "",
    address: str = "",
) -> list[Answer]:
    """Send every request, `concurrency` at a time, and return the answers in the requests' order.

    Args:
        url: the full `/predictions/NAME` URL.
        requests: what to send.
        ca: certificate (PEM) to trust beside the system's; needed for the self-signed one of a local server.
        concurrency: connections kept open, 1 or more.
        answered: called after every answer, for a progress bar.
        token: shown to a load balancer that asks for one (`Authorization: Bearer`); empty: none is.
        address: IPv4 address to connect to; the certificate is verified with the URL's host all the same. Empty: the
            one that DNS has.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    resolver = OneAddress(address) if address else None

    async def send() -> list[Answer]:
        connector = aiohttp.TCPConnector(limit=concurrency, ssl=_context(ca), resolver=resolver)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
            return await _send_all(session, url, requests, concurrency, answered)

    return asyncio.run(send())


def _context(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca) if ca else None)
    except (FileNotFoundError, ssl.SSLError) as error:
        raise InputError(f"--ca must be a PEM certificate, `{ca}` is not ({error})") from None


async def _send_all(
    session: aiohttp.ClientSession,
    url: str,
    requests: Sequence[Request],
    concurrency: int,
    answered: Callable[[], None],
) -> list[Answer]:
    answers: list[Answer | None] = [None] * len(requests)
    waiting = iter(range(len(requests)))

    async def sender() -> None:
        for position in waiting:
            answers[position] = await _send(session, url, requests[position])
            answered()

    await asyncio.gather(*(sender() for _ in range(min(concurrency, len(requests)))))
    return [answer for answer in answers if answer is not None]


async def _send(session: aiohttp.ClientSession, url: str, request: Request) -> Answer:
    begun = time.perf_counter()
    try:
        async with session.post(
            url, data=request.body, headers={"Content-Type": request.content_type}
        ) as response:
            content = await response.read()
            status = response.status
    except (aiohttp.ClientError, TimeoutError) as error:
        status, content = 0, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode()
    milliseconds = (time.perf_counter() - begun) * 1000
    return Answer(status=status, body=_parse(content), milliseconds=milliseconds)


def _parse(content: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        parsed = None
    return parsed if isinstance(parsed, dict) else {"error": content[:200].decode(errors="replace")}
