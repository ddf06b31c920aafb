"""Clients of AWS's API, one a service and region, and the mark that makes a creation repeatable."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import botocore.session
from botocore.config import Config

from infra.rehearsal.provider.properties import Value

TOKEN_HEADER = "X-Skylift-Token"  # noqa: S105 - a header's name
"""Marks a creation: the emulator answers a second one with the same mark as it did the first. AWS does not read it."""
_token: ContextVar[str] = ContextVar("token", default="")


class Clients:
    """Makes clients when they are first needed; safe for threads."""

    def __init__(self, region: str) -> None:
        """Begin with the stack's region."""
        self.region = region
        self._lock = threading.Lock()
        self._session = botocore.session.get_session()
        self._made: dict[tuple[str, str], Any] = {}
        self._account = ""
        self.stopping = threading.Event()
        """Set when the engine was told to stop: who waits for something waits no more."""

    def client(self, service: str, region: str) -> Value:
        """Return the client of a service in a region."""
        with self._lock:
            if (service, region) not in self._made:
                config = Config(
                    retries={"mode": "standard", "max_attempts": 5},
                    max_pool_connections=32,
                    s3={"addressing_style": "path"},
                )
                client = self._session.create_client(service, region_name=region, config=config)
                client.meta.events.register("before-send", _mark)
                self._made[service, region] = client
            return self._made[service, region]

    def operation(self, client: Value, method: str) -> Value:
        """Return botocore's model of a call that boto3 names in snake case."""
        return client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])

    def account(self) -> str:
        """Return the account's number; asked once."""
        if not self._account:
            self._account = str(self.client("sts", self.region).get_caller_identity()["Account"])
        return self._account

    @contextmanager
    def token(self, value: str) -> Iterator[None]:
        """Mark the calls made inside."""
        before = _token.set(value)
        try:
            yield
        finally:
            _token.reset(before)


def _mark(request: Value, **_: Value) -> None:
    value = _token.get()
    if value:
        request.headers[TOKEN_HEADER] = value
