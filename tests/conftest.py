"""Fixtures that several test files share."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import boto3
import pytest
from hypothesis import HealthCheck, settings

PROFILES = {"suite": 40, "deep": 1000}
"""Examples of each property: the same ones every time in the suite, new ones under `SKYLIFT_FUZZ=deep`."""
for profile, examples in PROFILES.items():
    settings.register_profile(
        profile,
        max_examples=examples,
        derandomize=profile == "suite",
        database=None,
        deadline=None,  # a shared machine stalls for seconds
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
settings.load_profile("deep" if os.environ.get("SKYLIFT_FUZZ") == "deep" else "suite")

# Hundreds of processes import torch; where the environment says so, each of them would compile it anew (9 of 15 s).
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell starts what it puts in the background with SIGINT ignored, and so would be all that tests interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
"""Real data for tests, beside the repository; tests that need it skip where it is absent."""


def free_port() -> int:
    """Return a TCP port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An emulated S3 on a port of its own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{url}/moto-api/", timeout=5).close()
                break
            except (URLError, ConnectionError):
                assert server.poll() is None, "moto did not start"
                assert time.monotonic() < deadline, "moto did not answer within 60 s"
        yield url
        server.terminate()


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The `s3://` URI of an empty bucket; the environment points every S3 client at the emulator."""
    environment = {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    name = f"skylift-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}"
