"""One Prometheus page for the node: TorchServe's metrics, HAProxy's, and the supervisor's own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from serve_config.follow import Follower
from serve_config.health import Health
from serve_config.refusals import Refusals
from serve_config.rollout import Rollout
from serve_config.supervise import Kept

SECONDS = 2.0
"""A source that does not answer so fast is left out."""


class Metrics(Collector):
    """The supervisor's own numbers, read when they are asked for."""

    def __init__(
        self, name: str, rollout: Rollout, refusals: Refusals, front: Kept, follower: Follower
    ) -> None:
        """Register them.

        Args:
            name: the model's name.
            rollout: what is served.
            refusals: what is not.
            front: HAProxy's process.
            follower: follows the pointer.
        """
        self.registry = CollectorRegistry()
        """All of them."""
        self.rollout = rollout
        """What is served."""
        self._name, self._refusals, self._front = name, refusals, front
        self._follower = follower
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Return them as they are now."""
        served, refused = self.rollout.served, self._refusals.current
        yield GaugeMetricFamily(
            "skylift_ready", "1 where the node is ready", float(self.rollout.unready() is None)
        )
        counter = GaugeMetricFamily(
            "skylift_pointer_counter", "Highest counter of the pointer that was seen", labels=["name"]
        )
        counter.add_metric([self._name], float(self.rollout.memory.counter))
        yield counter
        yield GaugeMetricFamily(
            "skylift_rollout_percentage",
            "Share of the nodes that the open rollout is for, 100 where none is open",
            float(self._follower.percentage),
        )
        info = GaugeMetricFamily(
            "skylift_model_info", "The release that is served", labels=["name", "version"]
        )
        if served:
            info.add_metric([self._name, served.release.version], 1.0)
            yield from _health(served.health)
        yield info
        refusal = GaugeMetricFamily(
            "skylift_refused_info", "The release that is refused now", labels=["name", "version", "reason"]
        )
        if refused:
            refusal.add_metric([self._name, refused.version, refused.kind], 1.0)
        yield refusal
        refusals = CounterMetricFamily(
            "skylift_refused_releases", "Releases that were refused", labels=["reason"]
        )
        for kind, count in sorted(self._refusals.counts.items()):
            refusals.add_metric([kind], float(count))
        yield refusals
        restarts = GaugeMetricFamily(
            "skylift_restarts", "Times that a process was started again", labels=["process"]
        )
        restarts.add_metric(["torchserve"], float(self.rollout.restarts))
        restarts.add_metric([self._front.name], float(self._front.restarts))
        yield restarts

    def text(self) -> bytes:
        """Return them in Prometheus's text format."""
        return generate_latest(self.registry)


def _health(health: Health) -> Iterator[Metric]:
    yield GaugeMetricFamily("skylift_workers", "Workers that are ready", float(health.ready_workers))
    yield GaugeMetricFamily(
        "skylift_workers_expected", "Workers that should be ready", float(health.expected_workers)
    )
    yield GaugeMetricFamily(
        "skylift_probe_seconds", "Time of the last golden answer", health.last_probe_seconds
    )
    yield GaugeMetricFamily(
        "skylift_stuck_workers", "Workers replaced because stuck", float(health.stuck_workers)
    )


class MetricsServer(ThreadingHTTPServer):
    """Serves GET /metrics in plain HTTP on a socket that is already bound."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, metrics: Metrics, front: Path) -> None:
        """Take over the socket.

        Args:
            listener: bound and listening.
            metrics: our own.
            front: unix socket of HAProxy's.
        """
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self._metrics = metrics
        self._torchserve = httpx.Client(timeout=SECONDS, trust_env=False)
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
        served = self._metrics.rollout.served
        url = f"http://127.0.0.1:{served.place.ports.metrics}/metrics" if served else ""
        text = self._metrics.text() + (_fetch(self._torchserve, url) if url else b"")
        return text + _fetch(self._front, "/metrics")


def _fetch(source: httpx.Client, url: str) -> bytes:
    try:
        answer = source.get(url)
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
