"""JSON in, what a type hint asks for out: everything that a file of ours may hold is checked here, once."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from typing import Any, Literal, TypeVar

from model_code.errors import InputError, unknown_key

T = TypeVar("T")

MOST_LEVELS = 50
"""Deepest nesting: no file of ours needs a tenth of it, and Python's own limit ends in another error."""


def parse(content: str | bytes) -> Any:  # noqa: ANN401 - any JSON
    """Return what a JSON text says.

    Raises:
        ValueError: no UTF-8, no JSON, too many levels, or an object that has a key twice: readers would differ on it.
    """
    text = content if isinstance(content, str) else content.decode()
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("too many levels") from None
    layer, levels = [value], 0
    while layer := [inner for outer in layer for inner in _within(outer)]:
        levels += 1
        if levels > MOST_LEVELS:
            raise ValueError("too many levels")
    return value


def build(kind: Any, value: Any, path: str = "", noun: str = "field") -> Any:  # noqa: ANN401 - the hinted type out
    """Return a JSON value as what a type hint asks for.

    Args:
        kind: a frozen dataclass, a Literal, a tuple or dict of one type, an optional, or a plain type.
        value: as parsed.
        path: where it stands, for messages.
        noun: what a key stands for, for messages.

    Raises:
        InputError: an unknown or missing key, or another type; the message names the place.
    """
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _build_dataclass(kind, value, path, noun)
    if origin is types.UnionType:
        return None if value is None else build(options[0], value, path, noun)
    if origin is Literal:
        if value not in options:
            raise InputError(f"{path} must be one of {', '.join(options)}, got {value!r}")
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(build(options[0], item, f"{path}[{i}]", noun) for i, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: build(options[1], item, f"{path}.{key}", noun) for key, item in value.items()}
    wanted = (int, float) if kind is float else kind
    if origin is not None or isinstance(value, bool) is not (kind is bool) or not isinstance(value, wanted):
        raise InputError(f"{path} must be {getattr(kind, '__name__', kind)}, got {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{path} must be finite, got {value}")
    return value


def _build_dataclass(kind: type[T], value: Any, path: str, noun: str) -> T:  # noqa: ANN401 - JSON
    if not isinstance(value, dict):
        raise InputError(f"{path or 'the file'} must be an object, got {type(value).__name__}")
    hints = typing.get_type_hints(kind)
    below = f"{path}." if path else ""
    for key in value:
        if key not in hints:
            raise unknown_key(noun, f"{below}{key}", [f"{below}{name}" for name in hints])
    try:
        return kind(**{key: build(hints[key], item, f"{below}{key}", noun) for key, item in value.items()})
    except TypeError as error:
        raise InputError(f"{path or 'the file'}: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"key `{twice}` comes twice")
    return found


def _within(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
