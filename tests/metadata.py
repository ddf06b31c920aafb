"""A metadata service (IMDSv2) for the tests of both rooms' nodes and of their boot script."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class MetadataServer:
    """Instance metadata of many machines: each asks below a path with its own id."""

    def __init__(self) -> None:
        """Start to answer."""
        self.values: dict[str, dict[str, str]] = {}
        """Instance id -> name below `meta-data/` -> value."""
        self.asked: list[tuple[str, str]] = []
        """Method and path of every request."""
        self.status = 200
        """What every request is answered with, when it is not 200."""
        self.token = "the token"
        """What a request must show."""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                known = "X-aws-ec2-metadata-token-ttl-seconds" in self.headers
                outer._answer(self, outer.token if known else None)

            def do_GET(self) -> None:
                instance, _, name = self.path.removeprefix("/").partition("/latest/meta-data/")
                if self.headers.get("X-aws-ec2-metadata-token") != outer.token:
                    outer.asked.append((self.command, self.path))
                    self.send_error(401)
                    return
                outer._answer(self, outer.values.get(instance, {}).get(name))

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def endpoint(self, instance: str) -> str:
        """Return the endpoint of one machine."""
        return f"http://127.0.0.1:{self._server.server_port}/{instance}"

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: http.server.BaseHTTPRequestHandler, text: str | None) -> None:
        self.asked.append((handler.command, handler.path))
        if self.status != 200 or text is None:
            handler.send_error(self.status if self.status != 200 else 404)
            return
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(text.encode())


@contextmanager
def metadata_server(*instances: str) -> Iterator[MetadataServer]:
    """Run one until the end; it tells each of these instances its id."""
    server = MetadataServer()
    server.values.update({one: {"instance-id": one} for one in instances})
    try:
        yield server
    finally:
        server.close()
