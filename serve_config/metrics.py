"""One Prometheus page for the node: TorchServe's metrics, HAProxy's, and the supervisor's own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from serve_config.health import Health
from serve_config.supervise import Kept

SECONDS = 2.0
"""A source that does not answer so fast is left out."""


class Metrics:
    """The supervisor's own numbers, read when they are asked for."""

    def __init__(self, health: Health, name: str, version: str, kept: Sequence[Kept]) -> None:
        """Register them.

        Args:
            health: what to read.
            name: the model's name.
            version: the release's version.
            kept: the processes, with their restarts.
        """
        self.registry = CollectorRegistry()
        """All of them."""
        self._kept = kept
        info = Gauge(
            "skylift_model_info", "The release that is served", ["name", "version"], registry=self.registry
        )
        info.labels(name=name, version=version).set(1)
        self._restarted = Gauge(
            "skylift_restarts", "Times that a process was started again", ["process"], registry=self.registry
        )
        numbers: dict[tuple[str, str], Callable[[], float]] = {
            ("skylift_ready", "1 where the node is ready"): lambda: float(health.unready() is None),
            ("skylift_workers", "Workers that are ready"): lambda: float(health.ready_workers),
            ("skylift_workers_expected", "Workers that should be ready"): lambda: float(
                health.expected_workers
            ),
            ("skylift_probe_seconds", "Time of the last golden answer"): lambda: health.last_probe_seconds,
            ("skylift_stuck_workers", "Workers replaced because stuck"): lambda: float(health.stuck_workers),
        }
        for (metric, text), read in numbers.items():
            Gauge(metric, text, registry=self.registry).set_function(read)

    def text(self) -> bytes:
        """Return them in Prometheus's text format."""
        for process in self._kept:
            self._restarted.labels(process=process.name).set(process.restarts)
        return generate_latest(self.registry)


class MetricsServer(ThreadingHTTPServer):
    """Serves GET /metrics in plain HTTP on a socket that is already bound."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, metrics: Metrics, torchserve_port: int, front: Path) -> None:
        """Take over the socket.

        Args:
            listener: bound and listening.
            metrics: our own.
            torchserve_port: loopback port of TorchServe's metrics.
            front: unix socket of HAProxy's.
        """
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self._metrics = metrics
        self._torchserve = httpx.Client(
            base_url=f"http://127.0.0.1:{torchserve_port}", timeout=SECONDS, trust_env=False
        )
        transport = httpx.HTTPTransport(uds=str(front))
        self._front = httpx.Client(
            base_url="http://front", transport=transport, timeout=SECONDS, trust_env=False
        )

    def start(self) -> None:
        """Serve until `stop`."""
        threading.Thread(target=self.serve_forever, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Stop serving and close the port."""
        self.shutdown()
        self.server_close()
        self._torchserve.close()
        self._front.close()

    def page(self) -> bytes:
        """Return everybody's metrics; their names begin differently, so one text can follow the other."""
        return self._metrics.text() + _fetch(self._torchserve) + _fetch(self._front)


def _fetch(source: httpx.Client) -> bytes:
    try:
        answer = source.get("/metrics")
    except httpx.HTTPError:
        return b""  # skylift_ready and skylift_restarts tell that a process is away
    return answer.content.rstrip() + b"\n" if answer.status_code == 200 else b""


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    timeout = 10.0

    def do_GET(self) -> None:
        found = self.path.partition("?")[0] == "/metrics"
        content = self.server.page() if found else b"see /metrics\n"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing: a line a scrape is not wanted."""
