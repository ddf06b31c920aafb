"""The client of the inference API shows a token, and connects where it is told to."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from infra.cli.inference import Request, send_all
from infra.rehearsal.authority import Authority


class Echo(BaseHTTPRequestHandler):
    """Answers with the headers that came."""

    def do_POST(self) -> None:
        """Answer one request."""
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server that DNS does not know: its URL, and who vouches for it."""
    authority = Authority.make(tmp_path)
    issued = authority.issue(names=["models.example.com"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.certificate, issued.key)
    with HTTPServer(("127.0.0.1", 0), Echo) as http:
        http.socket = context.wrap_socket(http.socket, server_side=True)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"https://models.example.com:{http.server_address[1]}/predictions/x", authority.ca
        http.shutdown()


def test_a_token_and_an_address(server: tuple[str, Path]) -> None:
    """The certificate is verified with the URL's host; without a token no header is sent."""
    url, ca = server
    for token, shown in (("abc", "Bearer abc"), ("", None)):
        (answer,) = send_all(
            url,
            [Request(body=b"x", content_type="text/plain")],
            ca=ca,
            concurrency=1,
            answered=lambda: None,
            token=token,
            address="127.0.0.1",
        )
        assert answer.status == 200, answer.body
        assert answer.body.get("authorization") == shown
        assert answer.body["host"].startswith("models.example.com:")


def test_another_host_is_not_believed(server: tuple[str, Path]) -> None:
    """Whatever the address: the name must be in the certificate."""
    url, ca = server
    (answer,) = send_all(
        url.replace("models", "other"),
        [Request(body=b"x", content_type="text/plain")],
        ca=ca,
        concurrency=1,
        answered=lambda: None,
        address="127.0.0.1",
    )
    assert answer.status == 0
    assert "certificate" in str(answer.body["error"]).lower()
