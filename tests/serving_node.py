"""A real node (TorchServe and HAProxy) for the tests of the serving room."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import httpx
import psutil
import pytest

from serve_config.front import require_haproxy
from tests.serving import NAME, new_signer, publish, write_artifact

ROOT = Path(__file__).parents[1]
START_SECONDS = 90.0

needs_haproxy = pytest.mark.skipif(
    shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None,
    reason="haproxy is not installed: apt-get install haproxy",
)


@dataclass
class RunningNode:
    """A node that has announced itself."""

    process: subprocess.Popen[str]
    facts: dict[str, Any]
    log: list[str]

    @property
    def url(self) -> str:
        """Base URL of the front."""
        return str(self.facts["url"])

    @property
    def predictions(self) -> str:
        """URL of the model."""
        return f"{self.url}/predictions/{NAME}"

    def client(self, **options: Any) -> httpx.Client:
        """Return a client that trusts the node's certificate."""
        context = ssl.create_default_context(cafile=self.facts["ca"])
        return httpx.Client(verify=context, base_url=self.url, timeout=60, trust_env=False, **options)

    def raw(self, request: bytes) -> bytes:
        """Send bytes over TLS and return all that comes back until the connection is closed or silent."""
        context = ssl.create_default_context(cafile=self.facts["ca"])
        address = urlparse(self.url)
        with (
            socket.create_connection((address.hostname or "", address.port or 0), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=address.hostname) as connection,
        ):
            connection.settimeout(2)
            answer = b""
            # It may be refused before all of it is sent.
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                connection.sendall(request)
            with contextlib.suppress(TimeoutError, ssl.SSLError, ConnectionError):
                while part := connection.recv(65536):
                    answer += part
            return answer

    def reset(self, times: int) -> None:
        """Ask TorchServe itself, so many times, and reset each connection; last, ask what it calls an error."""
        (java,) = [one for one in self.family() if one.name() == "java"]
        words = java.cmdline()
        config = Path(words[words.index("-f") + 1]).read_text()
        port = int(re.findall(r"^inference_address=http://127\.0\.0\.1:(\d+)$", config, re.MULTILINE)[0])
        for _ in range(times):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
                assert b"Healthy" in connection.recv(1 << 14)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(1 << 14)

    def family(self) -> list[psutil.Process]:
        """Return every process below the node."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def workers(self) -> list[psutil.Process]:
        """Return TorchServe's worker processes."""
        return [p for p in self.family() if "model_service_worker.py" in " ".join(p.cmdline())]

    def metrics(self) -> str:
        """Return everybody's metrics, in Prometheus' text format."""
        return httpx.get(self.facts["metrics"], trust_env=False).text

    def metric(self, series: str) -> float:
        """Return the value of one series of them, 0 where it is not there (yet).

        Args:
            series: its name and labels, as it stands in the text.
        """
        return value_of(self.metrics(), series)

    def ready(self) -> bool:
        """Ask the front whether the node is ready."""
        with self.client() as client:
            return client.get("/ready").status_code == 200


def value_of(page: str, series: str) -> float:
    """Return the value of one series in a page of metrics, 0 where it is not there."""
    found = [line for line in page.splitlines() if line.startswith(f"{series} ")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait for a condition and return how long it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, f"{what}: not within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - begun


def release(folder: Path) -> list[str]:
    """Publish the tiny model below a folder and return the words that serve it."""
    return release_of(folder, write_artifact(folder / "artifact"))


def release_of(folder: Path, artifact: Path) -> list[str]:
    """Publish an artifact below a folder and return the words that serve it."""
    signer = new_signer()
    publish(folder / "models", artifact, signer)
    public = signer.write_public(folder / "public.pem")
    return ["--models", str(folder / "models"), "--name", NAME, "--public-key", str(public)]


def command(*words: str) -> list[str]:
    """Return the command line of a node."""
    return [sys.executable, "-m", "serve_config.node", *words]


@contextlib.contextmanager
def running_node(words: list[str], *more: str) -> Iterator[RunningNode]:
    """Start a node on free ports and stop it at the end."""
    require_haproxy()
    options = ["--port", "0", "--metrics-port", "0", "--device", "cpu", *more]
    process = subprocess.Popen(
        command(*words, *options), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    log: list[str] = []
    reader = threading.Thread(target=lambda: log.extend(process.stderr or ()), daemon=True)
    reader.start()
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
        timer.cancel()
        assert line, f"the node did not start: {''.join(log)}"
        yield RunningNode(process, json.loads(line), log)
    finally:
        timer.cancel()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
        process.kill()
        process.wait()
        reader.join(5)
