"""Bodies that the supervisor reads itself: whole ones are handed on, slow ones are given up."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_config import pages
from serve_config.pages import PageServer


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageServer]:
    """A page server whose patience is short."""
    monkeypatch.setattr(pages, "BODY_SECONDS", 0.3)
    running = PageServer(lambda _: None, tmp_path / "nobody.sock", 1 << 20, 5.0)
    running.start()
    yield running
    running.stop()


@pytest.mark.parametrize("task", ["collect", "drain"])
@pytest.mark.parametrize("sent", [b"", b"abc"])
def test_a_body_that_does_not_come_is_given_up(server: PageServer, task: str, sent: bytes) -> None:
    """Its sender gets 408 and the connection is closed, so that it holds a thread no longer."""
    head = f"POST /x HTTP/1.1\r\nx-skylift-body: {task}\r\nContent-Length: 70000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head.encode() + sent)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408")
    assert "send it faster" in json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


def test_a_body_that_trickles_is_given_up(server: PageServer) -> None:
    """A byte now and then does not buy more time."""
    head = b"POST /x HTTP/1.1\r\nx-skylift-body: collect\r\nContent-Length: 70000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.05) as connection:
        connection.sendall(head)
        answer = b""
        while not answer:
            connection.sendall(b"x")
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408")
