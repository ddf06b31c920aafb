"""What the emulated AWS does wrong on request: it refuses, is slow, cuts uploads, stores half of an object.

A layer in the emulator's own process, before moto. The controls `interfere` and `calm` set and lift its rules.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from io import BytesIO
from typing import Any, Literal, get_args
from urllib.parse import parse_qs, unquote

from infra.rehearsal.provider.properties import Value
from infra.rehearsal.wrong_answers import refusal

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Harm = Literal["refuse", "slow", "reset", "tear"]
OPERATOR = "testing"
"""The operator's access key; roles' keys are made by STS."""
CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/")
LONGEST_FORM = 1 << 20
"""Bytes of a form that is read for its `Action`; no call of ours is longer."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One thing that goes wrong, for whom, and for how long."""

    name: str
    """What `calm` and its counts call it."""
    harm: Harm
    """`refuse`: answered with `status` and `code`; `slow`: answered rightly after `delay_seconds`; `reset`: the
    connection ends after half of the body; `tear`: half of the body is stored, and success is answered."""
    service: str = ""
    """Name that requests are signed for: `s3`, `ec2`, `autoscaling`, …; empty: every service."""
    action: str = ""
    """Regular expression of the whole action: S3's HTTP methods, the others' API names; empty: all."""
    path: str = ""
    """Regular expression that is searched for in `/bucket/key`; empty: all."""
    address: str = ""
    """IP address of the only caller that is harmed; empty: all callers."""
    status: int = 503
    """HTTP status of a refusal, 400 to 599."""
    code: str = "SlowDown"
    """Its AWS error code."""
    delay_seconds: float = 0.0
    """Wait before the harm, 0 or more."""
    seconds: float = 0.0
    """How long the rule holds; 0: until `calm`."""
    times: int = 0
    """How many requests it harms; 0: all."""
    operator: bool = False
    """Whether it harms the operator, too; else only sessions of roles."""

    def __post_init__(self) -> None:
        """Refuse what would harm nothing, or not what was meant.

        Raises:
            ValueError: a field breaks its rule.
        """
        if self.harm not in get_args(Harm):
            raise ValueError(f"harm must be one of {', '.join(get_args(Harm))}, got `{self.harm}`; take one")
        if not 400 <= self.status <= 599:
            raise ValueError(f"status must be 400 to 599, got {self.status}; take the service's own")
        for name in ("delay_seconds", "seconds", "times"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}; raise it")
        for name in ("action", "path"):
            try:
                re.compile(getattr(self, name))
            except re.error as error:
                raise ValueError(
                    f"{name} must be a regular expression, got `{getattr(self, name)}` ({error}); correct it"
                ) from None


@dataclass(frozen=True, kw_only=True)
class Call:
    """What is known of a request before moto sees it."""

    service: str
    """Name that it is signed for; empty: unsigned."""
    action: str
    """S3's HTTP method, the other services' API name."""
    path: str
    """`/bucket/key` for S3."""
    address: str
    """Whose it is."""
    operator: bool
    """Whether the operator signed it."""

    def suffers(self, rule: Rule) -> bool:
        """Tell whether a rule is about this request."""
        return (
            (rule.operator or not self.operator)
            and rule.service in ("", self.service)
            and rule.address in ("", self.address)
            and (not rule.action or re.fullmatch(rule.action, self.action) is not None)
            and (not rule.path or re.search(rule.path, self.path) is not None)
        )


@dataclass(kw_only=True)
class _Standing:
    rule: Rule
    until: float
    harmed: int = 0
    calmed: threading.Event = field(default_factory=threading.Event)

    @property
    def holds(self) -> bool:
        used_up = self.rule.times and self.harmed >= self.rule.times
        return not (used_up or self.calmed.is_set() or time.monotonic() > self.until)


class Rules:
    """The rules of one emulator."""

    def __init__(self) -> None:
        """Begin with none."""
        self._standing: dict[str, _Standing] = {}
        self._lock = threading.Lock()

    def interfere(self, **facts: Value) -> dict[str, Value]:
        """Set a rule, in place of one of the same name.

        Args:
            **facts: the fields of `Rule`.

        Raises:
            ValueError: a field is unknown, missing, or breaks its rule.
        """
        known = {one.name for one in fields(Rule)}
        if unknown := sorted(set(facts) - known):
            raise ValueError(f"a rule must have {', '.join(sorted(known))}, got `{unknown[0]}`; leave it out")
        if missing := sorted({"name", "harm"} - set(facts)):
            raise ValueError(f"a rule must have {missing[0]}, got none; give it")
        rule = Rule(**facts)
        until = time.monotonic() + rule.seconds if rule.seconds else float("inf")
        with self._lock:
            self._standing[rule.name] = _Standing(rule=rule, until=until)
        return {"name": rule.name}

    def calm(self, name: str = "") -> dict[str, int]:
        """Lift a rule, or all; who waits because of it is answered. Return how many requests each has harmed."""
        with self._lock:
            names = [one for one in self._standing if name in ("", one)]
            lifted = {one: self._standing.pop(one) for one in names}
        for standing in lifted.values():
            standing.calmed.set()
        return {one: standing.harmed for one, standing in lifted.items()}

    def harmed(self) -> dict[str, int]:
        """Return how many requests each rule has harmed so far, those that hold no more included."""
        with self._lock:
            return {one: standing.harmed for one, standing in self._standing.items()}

    def against(self, call: Call) -> _Standing | None:
        """Return the first rule that a request suffers from, and count it."""
        with self._lock:
            for standing in self._standing.values():
                if standing.holds and call.suffers(standing.rule):
                    standing.harmed += 1
                    return standing
        return None


class Interference:
    """Stands before an application and harms what the rules name."""

    def __init__(self, application: Application, rules: Rules) -> None:
        """Take what to protect nobody from."""
        self._application, self._rules = application, rules

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer, or do the harm.

        Raises:
            ConnectionResetError: the harm is a connection that ends; the server closes it.
        """
        standing = self._rules.against(_call(environ))
        if standing is None:
            return self._application(environ, start_response)
        rule = standing.rule
        standing.calmed.wait(rule.delay_seconds)
        if rule.harm == "refuse":
            status, headers, body = refusal(environ, rule.status, rule.code)
            start_response(status, headers)
            return [body]
        if rule.harm == "reset":
            _cut(environ)
            raise ConnectionResetError(f"{rule.name}: cut half-way")
        if rule.harm == "tear":
            half = _read_half(environ)
            environ = {**environ, "wsgi.input": BytesIO(half), "CONTENT_LENGTH": str(len(half))}
        return self._application(environ, start_response)


def _call(environ: dict[str, Any]) -> Call:
    query = unquote(environ.get("QUERY_STRING", "")).replace("X-Amz-Credential", "Credential")
    signed = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", "") or query)
    key, service = signed.groups() if signed else ("", "")
    return Call(
        service=service,
        action=_action(environ, service),
        path=environ.get("PATH_INFO", ""),
        address=environ.get("REMOTE_ADDR", ""),
        operator=key == OPERATOR,
    )


def _action(environ: dict[str, Any], service: str) -> str:
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):
        return str(target).rpartition(".")[2]
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if service == "s3" or not form or length > LONGEST_FORM:
        return str(environ["REQUEST_METHOD"])
    body = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = BytesIO(body)
    form_fields: dict[str, list[str]] = parse_qs(body.decode(errors="replace"))
    return form_fields.get("Action", [""])[0]


def _read_half(environ: dict[str, Any]) -> bytes:
    """Return the first half of a body; the rest stays unread."""
    half: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0) // 2)
    return half


def _cut(environ: dict[str, Any]) -> None:
    """Have the server close the connection in the middle of a body, and the caller's kernel get a reset."""
    connection: socket.socket = environ["werkzeug.socket"]
    _read_half(environ)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RD)
    environ["wsgi.input"].read()  # what has come is none of the next request's


RULES = Rules()
"""Those of this process."""
CONTROLS: dict[str, Callable[..., Any]] = {
    "interfere": RULES.interfere,
    "calm": RULES.calm,
    "harmed": RULES.harmed,
}
