"""The emulator's own process: serves moto, prints its ports, ends when its input closes.

The first line of the input says where to serve and how. With a certificate it is HTTPS, as AWS is.

A creation that carries a mark is answered a second time as it was the first: AWS has client tokens for some calls,
the emulator for all, so that an `up` that was killed meets what it had asked for.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from infra.rehearsal import patches
from infra.rehearsal.authorizer.layer import Authorizer
from infra.rehearsal.control import CONTROLS, Application, Control
from infra.rehearsal.interference import RULES, Interference
from infra.rehearsal.scaling import calls, controls, loop

MARK = "HTTP_X_SKYLIFT_TOKEN"
FRESH = "fresh-"
"""Begins a mark whose first answer is of something that is gone: it is asked for again."""


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


class Handshakes(ssl.SSLContext):
    """Leaves the handshake to the thread that serves the connection: a silent client must not hold up all others."""

    def wrap_socket(self, *arguments: Any, **more: Any) -> ssl.SSLSocket:  # noqa: ANN401 - ssl's
        """Wrap a socket that listens, or one that it accepted."""
        return super().wrap_socket(*arguments, **{**more, "do_handshake_on_connect": False})


def main() -> None:
    """Serve until the input closes."""
    settings = json.loads(_first_line())
    patches.apply()
    calls.add()
    CONTROLS.update(controls.CONTROLS)
    if settings.get("certificate"):  # only nodes that run need groups that are kept
        loop.start()
    application: Application = Repeatable(DomainDispatcherApplication(create_backend_app))
    if settings.get("certificate"):  # served as AWS is
        application = Authorizer(application)
    application = Interference(application, RULES)
    application = Control(application, settings["token"])
    server = _server(application, settings["address"], settings["port"], settings.get("certificate"))
    ports = [server.port]
    if settings.get("plain") is not None:
        plain = _server(application, settings["address"], settings["plain"], None)
        threading.Thread(target=plain.serve_forever, daemon=True).start()
        ports.append(plain.port)
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    sys.stdout.write(f"{' '.join(str(port) for port in ports)}\n")
    sys.stdout.flush()
    server.serve_forever()


def _server(
    application: Application, address: str, port: int, certificate: tuple[str, str] | None
) -> BaseWSGIServer:
    context = None
    if certificate:
        context = Handshakes(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    return make_server(
        address, port, application, threaded=True, request_handler=MotoRequestHandler, ssl_context=context
    )


def _first_line() -> bytes:
    """Read a line and no byte more: what comes after it is its end."""
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(sys.stdin.fileno(), 1) or b"{}\n"
    return line


def _end_with_the_starter() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
