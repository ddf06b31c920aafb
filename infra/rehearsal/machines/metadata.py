"""The instance metadata service, version 2, of all machines: who asks is known by the address that a question is from.

A question without a token of a session is answered 401, as where an instance demands version 2.
"""

from __future__ import annotations

import http.server
import json
import secrets
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from botocore.exceptions import BotoCoreError, ClientError

from infra.rehearsal import addresses
from infra.rehearsal.emulator import Emulator
from infra.rehearsal.machines.credentials import RoleKeys

LONGEST_S = 21_600
"""Of a session: what AWS allows."""
TOKEN, TTL = "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds"
DATA, IDENTITY = "meta-data/", "dynamic/instance-identity/document"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What one machine can learn of itself."""

    instance_id: str
    """EC2's."""
    address: str
    """Private, IPv4; also what it is known by here."""
    zone: str
    """Availability zone; its region is all but the last letter."""
    instance_type: str
    """As `g5.xlarge`."""
    image_id: str
    """What it was launched from on AWS."""
    role_arn: str
    """Of its profile; empty: it has none."""
    lifecycle: str = ""
    """Where its group has it going: `InService` or `Terminated`; empty: no group has said."""
    action: str = ""
    """EC2's notice that it takes the machine back, JSON; empty: none."""
    rebalance: str = ""
    """EC2's notice that this is more likely than usual, JSON; empty: none."""

    def data(self) -> dict[str, str]:
        """Return what stands below `meta-data/`, but for keys."""
        name = self.role_arn.rpartition("/")[2]
        found = {
            "instance-id": self.instance_id,
            "instance-type": self.instance_type,
            "ami-id": self.image_id,
            "local-ipv4": self.address,
            "placement/availability-zone": self.zone,
            "placement/region": self.zone[:-1],
            "services/domain": "amazonaws.com",
            "iam/security-credentials": name,
            "autoscaling/target-lifecycle-state": self.lifecycle,
            "spot/instance-action": self.action,
            "events/recommendations/rebalance": self.rebalance,
        }
        return {place: text for place, text in found.items() if text}

    def identity(self) -> str:
        """Return the instance identity document."""
        return json.dumps(
            {
                "instanceId": self.instance_id,
                "instanceType": self.instance_type,
                "imageId": self.image_id,
                "privateIp": self.address,
                "availabilityZone": self.zone,
                "region": self.zone[:-1],
                "architecture": "x86_64",
            }
        )


class Metadata:
    """The service. Machines are made known to it, and what happens to them is told it."""

    def __init__(
        self,
        emulator: Emulator,
        *,
        region: str = "eu-central-1",
        address: str = addresses.METADATA,
        port: int = 80,
    ) -> None:
        """Take where it is; `start` opens it.

        Args:
            emulator: the account, where roles are assumed.
            region: AWS region.
            address: all SDKs know the one of AWS.
            port: 0 for any that is free.
        """
        self._keys, self._place = RoleKeys(emulator, region), (address, port)
        self._facts: dict[str, Facts] = {}
        self._tokens: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._expired = self._silent = 0.0
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """Where it listens, 0 before `start`."""
        return int(self._server.server_address[1]) if self._server else 0

    def start(self) -> None:
        """Begin to answer.

        Raises:
            OSError: its address is not there, or taken.
        """
        self._server = _Server(self._place, _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True, name="metadata").start()

    def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def know(self, facts: Facts) -> None:
        """Answer a machine, or answer it otherwise; notices that it was given stay."""
        with self._lock:
            kept = self._facts.get(facts.address)
            if kept and kept.instance_id == facts.instance_id:
                facts = replace(facts, action=kept.action, rebalance=kept.rebalance)
            self._facts[facts.address] = facts

    def forget(self, address: str) -> None:
        """Answer a machine no longer."""
        with self._lock:
            gone = self._facts.pop(address, None)
        if gone:
            self._keys.forget(gone.instance_id)

    def spot_notice(self, instance_id: str, seconds: float = 120.0) -> None:
        """Tell a machine that EC2 takes it back.

        Args:
            instance_id: EC2's.
            seconds: from now on, until its end.
        """
        end = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._tell(instance_id, lambda f: replace(f, action=json.dumps({"action": "terminate", "time": end})))

    def rebalance_notice(self, instance_id: str) -> None:
        """Tell a machine that EC2 is likelier than usual to take it back."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._tell(instance_id, lambda f: replace(f, rebalance=json.dumps({"noticeTime": now})))

    def expire_credentials(self, seconds: float) -> None:
        """Hand out keys that have ended, to everybody, as when the service cannot get new ones.

        An SDK that holds such keys goes on to use them. That AWS refuses them is the emulator's part of this fault.

        Args:
            seconds: how long.
        """
        self._expired = time.monotonic() + seconds

    def silent(self, seconds: float) -> None:
        """Answer nobody: connections are taken and nothing comes.

        Args:
            seconds: how long.
        """
        self._silent = time.monotonic() + seconds

    def answer(self, method: str, path: str, token: str, ttl: str, address: str) -> tuple[HTTPStatus, str]:
        """Return status and text of an answer; an empty text with 200 is one that never comes.

        Args:
            method: of HTTP.
            path: as `/latest/meta-data/instance-id`.
            token: that the question carries.
            ttl: how long the token that it asks for shall be good, in seconds.
            address: where the question is from.
        """
        if (left := self._silent - time.monotonic()) > 0:
            time.sleep(left)
            return HTTPStatus.OK, ""
        with self._lock:
            facts = self._facts.get(address)
        if facts is None or not path.startswith("/latest/"):
            return HTTPStatus.NOT_FOUND, ""
        place = path.removeprefix("/latest/").rstrip("/")
        if method == "PUT":
            return self._new_token(ttl, address) if place == "api/token" else (HTTPStatus.NOT_FOUND, "")
        owner, until = self._tokens.get(token, ("", 0.0))
        if owner != address or until < time.monotonic():
            return HTTPStatus.UNAUTHORIZED, ""
        try:
            text = self._text(facts, place)
        except (BotoCoreError, ClientError):  # no keys now; who asks asks again
            return HTTPStatus.INTERNAL_SERVER_ERROR, ""
        return (HTTPStatus.OK, text) if text else (HTTPStatus.NOT_FOUND, "")

    def _new_token(self, ttl: str, address: str) -> tuple[HTTPStatus, str]:
        if not ttl.isdecimal() or not 1 <= int(ttl) <= LONGEST_S:
            return HTTPStatus.BAD_REQUEST, ""
        token = secrets.token_urlsafe(40)
        self._tokens[token] = address, time.monotonic() + int(ttl)
        return HTTPStatus.OK, token

    def _text(self, facts: Facts, place: str) -> str:
        if place == IDENTITY:
            return facts.identity()
        data, name = facts.data(), place.removeprefix(DATA)
        role = data.get("iam/security-credentials", "")
        if role and name == f"iam/security-credentials/{role}":
            keys, now = self._keys.keys(facts.instance_id, facts.role_arn), datetime.now(UTC)
            ended = now - timedelta(seconds=1) if time.monotonic() < self._expired else None
            return json.dumps(keys.document(now, ended))
        return data.get(name, "") if place.startswith(DATA) else ""

    def _tell(self, instance_id: str, change: Callable[[Facts], Facts]) -> None:
        with self._lock:
            for address, facts in self._facts.items():
                if facts.instance_id == instance_id:
                    self._facts[address] = change(facts)


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """One thread a question. Not http.server's own: that asks for the name of its address, and nobody answers."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128  # all nodes ask at once when they boot, and the SDKs wait 1 s


def _handler(service: Metadata) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self._do()

        def do_GET(self) -> None:
            self._do()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def _do(self) -> None:
            token, ttl = self.headers.get(TOKEN, ""), self.headers.get(TTL, "")
            status, text = service.answer(self.command, self.path, token, ttl, self.client_address[0])
            if status == HTTPStatus.OK and not text:
                return  # the connection is closed without a word
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

    return Handler
