"""How a client's mistake is said, and the first checks of what a client sent."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

LONGEST = 1000
"""Most characters of a message: a value that it quotes may be megabytes."""


class BadInput(ValueError):  # noqa: N818 - a name that every file of the archive shares
    """A request breaks a rule; the message names field, rule, value received and next step.

    Status 400: malformed, 413: too large, 415: of the wrong kind, 422: well-formed with a value that cannot be.
    """

    def __init__(self, status: int, message: str) -> None:
        short = message if len(message) <= LONGEST else f"{message[:LONGEST]}…"
        super().__init__("".join(one if one.isprintable() else repr(one)[1:-1] for one in short))
        self.status = status


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body.

    Raises:
        BadInput: it is not UTF-8, not JSON or not an object.
    """
    try:
        parsed = json.loads(decode_utf8(body), parse_constant=_no_number)
    except BadInput:
        raise
    except RecursionError:
        raise BadInput(400, "body must be JSON, got too many levels; send a flat object") from None
    except ValueError as error:
        raise BadInput(
            400, f"body must be JSON, got `{_shown(body)}` ({error}); check it with a JSON parser"
        ) from None
    if not isinstance(parsed, dict):
        raise BadInput(400, f"body must be a JSON object, got {_kind(parsed)}; send {{…}}")
    return parsed


def decode_utf8(body: bytes) -> str:
    """Return a body's text.

    Raises:
        BadInput: it is not UTF-8.
    """
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(400, f"body must be UTF-8, byte {error.start} is not; encode it as UTF-8") from None


def decode_base64(text: str) -> bytes:
    """Return the bytes that a base64 string stands for.

    Raises:
        BadInput: it is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadInput(400, f"`image` must be base64, got `{text[:40]}`; encode the file's bytes") from None


def need(parsed: dict[str, Any], name: str, kind: type[T], described: str) -> T:
    """Return a field that must be there and of one type.

    Raises:
        BadInput: it is missing or of another type.
    """
    if name not in parsed:
        raise BadInput(
            400,
            f"`{name}` is missing, got {[key[:40] for key in sorted(parsed)[:8]]}; send {described} as `{name}`",
        )
    value = parsed[name]
    if type(value) is not kind:  # not isinstance: true is an int to Python, and is none to a client
        raise BadInput(400, f"`{name}` must be {described}, got {_kind(value)}; correct its type")
    return value


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), f"the number {str(value)[:20]}")


def _shown(body: bytes) -> str:
    return body[:40].decode(errors="replace")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
