"""This machine as EC2 tells of it: the instance metadata service, version 2 (a session token for every question)."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from serve_config.errors import ServeFailedError
from serve_config.processes import log

ENDPOINT = "http://169.254.169.254"
"""Where it answers; botocore's `AWS_EC2_METADATA_SERVICE_ENDPOINT` says otherwise."""
TOKEN_SECONDS = 21600
"""How long a token is valid: the most that EC2 gives."""
LOOK_SECONDS = 5.0
"""Between two looks for a notice: AWS recommends this interval for the two minutes of a spot notice."""
TRIES, PAUSE_SECONDS = 6, 2.0
"""A service that does not answer at boot is asked again so often, after such a pause."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Why this machine must be left."""

    reason: str
    """spot, scale-in, or stop (a signal)."""
    seconds: float | None = None
    """How long it still runs, None where nobody said."""


class Instance:
    """The metadata service, asked in turn."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """Ask nothing yet; the client knows the endpoint."""
        self._client = client
        self._token, self._until = "", 0.0

    async def read(self, path: str) -> str | None:
        """Return what stands at a path below /latest, None where nothing does.

        Raises:
            httpx.HTTPError: the service does not answer, or with an error.
        """
        if time.monotonic() >= self._until:
            await self._renew()
        answer = await self._client.get(f"/latest/{path}", headers={"X-aws-ec2-metadata-token": self._token})
        if answer.status_code == httpx.codes.UNAUTHORIZED:  # the service has forgotten it
            self._until = 0.0
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        return answer.text

    async def id(self) -> str:
        """Return this instance's id.

        Raises:
            ServeFailedError: the service does not answer.
        """
        for left in reversed(range(TRIES)):
            try:
                found = await self.read("meta-data/instance-id")
            except httpx.HTTPError as error:
                if not left:
                    message = f"the metadata service does not tell the instance's id ({error}); is this EC2?"
                    raise ServeFailedError(message) from None
                await asyncio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
            else:
                if found:
                    return found
        raise ServeFailedError("the metadata service has no instance id; is this EC2?")

    async def notice(self) -> Notice | None:
        """Return the notice that has come, if one has.

        Raises:
            httpx.HTTPError: the service does not answer, or with an error.
        """
        action = await self.read("meta-data/spot/instance-action")
        if action:
            return spot_notice(action, datetime.now(UTC))
        if await self.read("meta-data/autoscaling/target-lifecycle-state") == "Terminated":
            return Notice(reason="scale-in")
        return None

    async def noticed(self) -> Notice:
        """Wait for a notice. A service that is away for a while is asked again."""
        away = False
        while True:
            try:
                found = await self.notice()
            except httpx.HTTPError as error:
                if not away:
                    log(f"the metadata service is away, notices cannot be seen now: {error}")
                away = True
            else:
                away = False
                if found:
                    return found
            await asyncio.sleep(LOOK_SECONDS)

    async def _renew(self) -> None:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
        answer = await self._client.put("/latest/api/token", headers=headers)
        answer.raise_for_status()
        self._token, self._until = answer.text, time.monotonic() + TOKEN_SECONDS * 0.9


def spot_notice(action: str, now: datetime) -> Notice:
    """Return the notice that EC2 wrote: `{"action": "terminate", "time": "2026-11-24T18:22:00Z"}`."""
    try:
        end = datetime.fromisoformat(json.loads(action)["time"])
    except (ValueError, KeyError, TypeError):
        return Notice(reason="spot")
    return Notice(reason="spot", seconds=max(0.0, (end - now).total_seconds()))


def metadata_client() -> httpx.AsyncClient:
    """Return a client of this machine's service; proxies of the environment are not for it."""
    endpoint = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", ENDPOINT)
    return httpx.AsyncClient(base_url=endpoint, timeout=3, trust_env=False)
