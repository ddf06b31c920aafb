"""The supervisor's own small HTTP server, reached through the front only: readiness, and bodies to be read whole."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

CHUNK = 1 << 16
"""Bytes read at a time."""

DRAIN_FACTOR = 16
"""A refused body is read away up to so many times the size limit; then the connection is closed."""

SECONDS = 30.0
"""A connection that is silent for so long is closed."""

BODY_SECONDS, SLOWEST = 10.0, 1 << 16
"""A body that is collected may take so many seconds, and one more for each so many bytes."""

TOO_SLOW = f"body must come with {SLOWEST} bytes a second at least; send it faster"
"""The answer to one that does not."""

Page = tuple[int, dict[str, Any]]


class PageServer(ThreadingHTTPServer):
    """Serves pages on loopback, in threads of its own."""

    daemon_threads = True

    def __init__(
        self,
        page: Callable[[str], Page | None],
        collected: Path,
        max_body_bytes: int,
        response_seconds: float,
    ) -> None:
        """Bind to a free loopback port.

        Args:
            page: returns status and JSON of a path, None where there is no such page.
            collected: unix socket of the front that takes bodies whose length is known now.
            max_body_bytes: largest body that is collected.
            response_seconds: how long the front may take to answer one.
        """
        super().__init__(("127.0.0.1", 0), _Handler)
        self.page = page
        self.max_body_bytes = max_body_bytes
        self.client = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(collected)), timeout=response_seconds, trust_env=False
        )

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Say nothing of connections that broke; everything else is a fault of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    @property
    def port(self) -> int:
        """The port that it is bound to."""
        return self.server_port

    def start(self) -> None:
        """Serve until `stop`."""
        threading.Thread(target=self.serve_forever, name="pages", daemon=True).start()

    def stop(self) -> None:
        """Stop serving and close the port."""
        self.shutdown()
        self.server_close()
        self.client.close()


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    timeout = SECONDS
    wbufsize = (
        CHUNK  # headers and content leave as one packet: two would wait for each other's receipt, 40 ms
    )

    def do_GET(self) -> None:
        self._route()

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing: a line a request is not wanted."""

    def _route(self) -> None:
        self._begun, self._received = time.monotonic(), 0
        task = self.headers.get("x-skylift-body")
        if task in ("drain", "collect"):
            try:
                self._drain_all() if task == "drain" else self._collect()
            except TimeoutError:
                self.close_connection = True
                self._send(408, json.dumps({"error": TOO_SLOW}).encode())
            self.connection.settimeout(SECONDS)
        else:
            status, answer = self.server.page(self.path.partition("?")[0]) or (404, {"error": "no such page"})
            self._send(status, json.dumps(answer).encode())

    def _collect(self) -> None:
        limit = self.server.max_body_bytes
        parts, size = [], 0
        body = self._body()
        for part in body:
            parts.append(part)
            size += len(part)
            if size > limit:
                del parts
                self._drain(body)
                message = f"body must have at most {limit} bytes; send a smaller one"
                self._send(413, json.dumps({"error": message}).encode())
                return
        kept = {"content-type": self.headers.get("content-type", "")}
        try:
            answer = self.server.client.post(f"http://node{self.path}", content=b"".join(parts), headers=kept)
        except httpx.HTTPError:
            self._send(502, b'{"error": "the model server broke off; try again"}', {"Retry-After": "1"})
            return
        names = ("retry-after", "x-skylift-version", "x-request-id")
        self._send(
            answer.status_code, answer.content, {n: answer.headers[n] for n in names if n in answer.headers}
        )

    def _drain_all(self) -> None:
        self._drain(self._body())
        self._send(204, b"")

    def _drain(self, body: Iterator[bytes]) -> None:
        left = self.server.max_body_bytes * DRAIN_FACTOR
        for part in body:
            left -= len(part)
            if left < 0:
                self.close_connection = True
                return

    def _body(self) -> Iterator[bytes]:
        """Read the request's body; the front has checked its framing."""
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            yield from self._read(int(self.headers.get("content-length", 0)))
            return
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield from self._read(size)
            self.rfile.readline()
        while self.rfile.readline() not in (b"\r\n", b"\n", b""):
            pass

    def _read(self, size: int) -> Iterator[bytes]:
        while size > 0:
            left = self._begun + BODY_SECONDS + self._received / SLOWEST - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.connection.settimeout(left)
            part = self.rfile.read1(min(size, CHUNK))
            if not part:
                self.close_connection = True
                raise ConnectionResetError
            size -= len(part)
            self._received += len(part)
            yield part

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
