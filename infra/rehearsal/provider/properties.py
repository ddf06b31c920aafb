"""Properties as the engine sends them, and as Python has them: numbers, unknown values, archives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What the engine writes for a value that only the run will tell."""
SIGNATURE = "4dabf18193072939515e22adb298388d"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
DEFAULTS = "__defaults"
"""Input that lists the names which we gave ourselves, as the AWS plugin does it."""

Properties = dict[str, Any]
Value = Any
"""One value of a property, or a part of an answer: JSON, of whatever kind."""


def from_struct(struct: Struct) -> Properties:
    """Return properties as Python values; whole numbers are whole again."""
    found: Properties = _whole(MessageToDict(struct))
    return found


def to_struct(properties: Mapping[str, Any]) -> Struct:
    """Return properties as the engine reads them."""
    return ParseDict(dict(properties), Struct())


def has_unknown(value: object) -> bool:
    """Return whether a value, or anything in it, is not known yet."""
    if isinstance(value, Mapping):
        return any(has_unknown(one) for one in value.values())
    if isinstance(value, list):
        return any(has_unknown(one) for one in value)
    return value == UNKNOWN


def without_unknown(properties: Mapping[str, Any]) -> Properties:
    """Return the properties whose values are known."""
    return {name: value for name, value in properties.items() if not has_unknown(value)}


def asset_bytes(value: Mapping[str, Any]) -> bytes:
    """Return what an asset holds.

    Raises:
        ValueError: it is neither a file nor a text.
    """
    if value.get(SIGNATURE) == ASSET and value.get("path"):
        return Path(value["path"]).read_bytes()
    if value.get(SIGNATURE) == ASSET and "text" in value:
        return str(value["text"]).encode()
    raise ValueError("source must be a file or a text, got another kind of asset; give pulumi.FileAsset")


def _whole(value: Value) -> Value:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return value
