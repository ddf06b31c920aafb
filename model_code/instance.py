"""This machine as EC2 describes it: the instance metadata service, version 2 (a token for every answer)."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from model_code.errors import InputError, RunFailedError
from model_code.typed_json import parse

DEFAULT_ENDPOINT = "http://169.254.169.254"
TOKEN_SECONDS = 21_600
"""How long a token holds: the most that the service gives."""
TIMEOUT = 2.0
"""Seconds for one answer: the service is on the machine's own host."""
ATTEMPTS = 5
"""Asked again a second apart: the service answers late while a machine boots."""


class InstanceMetadata:
    """The metadata service of this machine."""

    def __init__(self, endpoint: str = DEFAULT_ENDPOINT) -> None:
        """Take where it answers.

        Raises:
            InputError: no http URL.
        """
        parts = urlsplit(endpoint)
        if parts.scheme != "http" or not parts.hostname:
            raise InputError(
                f"AWS_EC2_METADATA_SERVICE_ENDPOINT must be http://HOST[:PORT], got `{endpoint}`; unset it on EC2"
            )
        self._host, self._port, self._path = parts.hostname, parts.port or 80, parts.path.rstrip("/")
        self._token, self._until = "", 0.0

    def instance_id(self) -> str:
        """Return this instance's id, such as `i-0123456789abcdef0`.

        Raises:
            RunFailedError: the service does not say it.
        """
        reason = "it says none"
        for attempt in range(ATTEMPTS):
            time.sleep(min(attempt, 1))
            try:
                if found := self.read("instance-id"):
                    return found
            except OSError as error:
                reason = str(error)
        raise RunFailedError(
            f"the instance metadata service at {self._host}:{self._port} must say the instance's id: {reason}; a node "
            "runs on EC2 with IMDSv2 on, or where AWS_EC2_METADATA_SERVICE_ENDPOINT leads to such a service"
        )

    def notice(self) -> str:
        """Return why this instance is about to go, empty while it stays.

        Raises:
            OSError: the service does not answer.
        """
        action = self.read("spot/instance-action")
        if action:
            return f"spot interruption: {_field(action, 'action')} at {_field(action, 'time')}"
        if self.read("autoscaling/target-lifecycle-state") == "Terminated":
            return "its Auto Scaling group terminates it"
        return ""

    def terminating(self) -> bool:
        """Tell whether the group has begun to terminate this instance, which waits for a lifecycle action.

        Raises:
            OSError: the service does not answer.
        """
        return self.read("autoscaling/target-lifecycle-state") == "Terminated"

    def rebalance(self) -> str:
        """Return when EC2 said that a spot interruption is more likely than usual, empty where it did not.

        Raises:
            OSError: the service does not answer.
        """
        said = self.read("events/recommendations/rebalance")
        return _field(said, "noticeTime") if said else ""

    def read(self, name: str) -> str:
        """Return one of the service's values below `meta-data/`, empty where it has none.

        Raises:
            OSError: the service does not answer.
        """
        for attempt in range(2):
            status, text = self._ask("GET", f"/latest/meta-data/{name}", {TOKEN: self._fresh_token()})
            if status == http.client.OK:
                return text
            if status == http.client.NOT_FOUND:
                return ""
            if status == http.client.UNAUTHORIZED and attempt == 0:
                self._until = 0.0  # the service was started again: the token is of another life
                continue
            break
        raise OSError(f"{name}: status {status}")

    def _fresh_token(self) -> str:
        if time.monotonic() > self._until:
            status, text = self._ask("PUT", "/latest/api/token", {TOKEN_TTL: str(TOKEN_SECONDS)})
            if status != http.client.OK:
                raise OSError(f"no token: status {status}")
            self._token, self._until = text, time.monotonic() + TOKEN_SECONDS / 2
        return self._token

    def _ask(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        try:
            connection.request(method, f"{self._path}{path}", headers=dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read(1 << 16).decode()
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP: {error!r}") from None
        finally:
            connection.close()


TOKEN, TOKEN_TTL = "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds"


def _field(text: str, name: str) -> str:
    """Return a field of a small JSON object; the whole text where it is none."""
    try:
        value = parse(text)
    except ValueError:
        return text
    return str(value.get(name, text)) if isinstance(value, dict) else text
