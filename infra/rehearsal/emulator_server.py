"""The emulator's own process: serves moto on a free port, prints the port, ends when its input closes.

A creation that carries a mark is answered a second time as it was the first: AWS has client tokens for some calls,
the emulator for all, so that an `up` that was killed meets what it had asked for.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from infra.rehearsal import patches

MARK = "HTTP_X_SKYLIFT_TOKEN"
FRESH = "fresh-"
"""Begins a mark whose first answer is of something that is gone: it is asked for again."""
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Repeatable:
    """Answers marked requests once."""

    def __init__(self, application: Application) -> None:
        """Stand before an application."""
        self._application = application
        self._answers: dict[str, tuple[str, list[tuple[str, str]], bytes]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer from memory where the mark is known, and keep what succeeds."""
        mark = environ.get(MARK, "")
        if not mark:
            return self._application(environ, start_response)
        name = mark.removeprefix(FRESH)
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._answers or mark.startswith(FRESH):
                status, headers, body = self._asked(environ)
                if not status.startswith("2"):
                    start_response(status, headers)
                    return [body]
                self._answers[name] = status, headers, body
            status, headers, body = self._answers[name]
            start_response(status, headers)
            return [body]

    def _asked(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        said: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], None]:
            said[:] = [status, headers]
            return said.append  # the old way of writing, which nobody takes

        body = b"".join(self._application(environ, start))
        return said[0], said[1], body


def main() -> None:
    """Serve until the input closes."""
    patches.apply()
    application = Repeatable(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


def _end_with_the_starter() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
