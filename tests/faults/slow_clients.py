"""Clients that hold a connection and give nothing, or leave in the middle: none may take anything from the others."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

from tests.faults import nodes
from tests.faults.fault import Seen
from tests.serving import NAME, picture
from tests.serving_node import RunningNode, until

HEAD = f"POST /predictions/{NAME} HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n".encode()
SLOW: dict[str, bytes] = {
    "headers that do not end": HEAD + b"X-A: 1\r\n",
    "a small body that does not come": HEAD + b"Content-Length: 1000\r\n\r\nabc",
    "a large body that stops": HEAD + b"Content-Length: 200000\r\n\r\n" + bytes(100_000),
    "a chunk that does not end": HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\nabc",
}
EACH = 40
"""Connections of each kind: more than the server takes requests at a time (32)."""

CLOSED_SECONDS = 60.0
"""The front gives them 10 to 12 s; the rest is a busy machine's."""


@contextlib.contextmanager
def connection(node: RunningNode) -> Iterator[ssl.SSLSocket]:
    """Open one."""
    context = ssl.create_default_context(cafile=node.facts["ca"])
    address = urlparse(node.url)
    with (
        socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=address.hostname) as wrapped,
    ):
        yield wrapped


def in_service(node: RunningNode) -> int:
    """Return how many requests the front has handed to TorchServe, or holds for it."""
    return int(node.metric('haproxy_backend_current_sessions{proxy="torchserve"}'))


def bad_clients(_folder: Path) -> Seen:
    """Slow senders and readers, half-closed and vanishing clients, all at once, beside good ones."""
    node = nodes.node(2)
    good = nodes.clients(node)
    with contextlib.ExitStack() as stack, good.asking(4):
        slow = [stack.enter_context(connection(node)) for _ in range(EACH * len(SLOW))]
        for number, one in enumerate(slow):
            one.sendall(list(SLOW.values())[number % len(SLOW)])
        begun = time.monotonic()
        readers = [stack.enter_context(connection(node)) for _ in range(EACH)]
        for one in readers:
            one.sendall(whole_request())  # its answer is never read
        for _ in range(EACH):
            with connection(node) as gone:
                gone.sendall(whole_request())
        assert answer_to_half_closed(node).startswith(b"HTTP/1.1 200"), "a half-closed client got no answer"
        before = len(good.asked)
        until(lambda: len(good.asked) >= before + 200, CLOSED_SECONDS, "good answers meanwhile")
        assert node.ready(), "slow clients made the node unready"
        for one in slow:
            until_refused(one)
        took = time.monotonic() - begun
    assert not good.failures, f"good clients were hurt: {good.failures[:3]}"
    until(lambda: in_service(node) == 0, 10, "nobody holds a place")
    what = f"{len(slow)} slow ones refused after {took:.0f} s, {len(good.asked):,} good answers meanwhile"
    return Seen(what=what)


def whole_request() -> bytes:
    """Return a request that can be answered."""
    body = picture(1)
    return HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def answer_to_half_closed(node: RunningNode) -> bytes:
    """Send a request, close the sending side of the connection, and return what comes."""
    with connection(node) as one:
        one.sendall(whole_request())
        with socket.socket(fileno=os.dup(one.fileno())) as below:
            below.shutdown(socket.SHUT_WR)
        return one.recv(65536)


def until_refused(one: ssl.SSLSocket) -> None:
    """Wait until the front refuses what does not come, or closes the connection."""
    one.settimeout(CLOSED_SECONDS)
    said = b""
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        said = one.recv(65536)
    assert said[:12] in (b"", b"HTTP/1.1 408", b"HTTP/1.1 503"), said[
        :80
    ]  # 503: it waited for a place to be read
