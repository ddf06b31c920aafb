"""From pulumi's names to those of AWS's API, by the shapes that botocore has of every call; and the way back.

Letters' case, underscores and a plural's `s` do not count; what is called otherwise stands in a row's `names`.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from infra.rehearsal.provider.properties import Value

Shape = Any
"""One of botocore's, which has no types."""
PAIRS = (("Key", "Value"), ("TagKey", "TagValue"), ("Name", "Value"), ("key", "value"))
"""Members of a list's entries that stand for one entry of a mapping."""


def normal(name: str) -> str:
    """Return what of a name counts."""
    return name.replace("_", "").lower().removesuffix("s")


def member_of(shape: Shape, name: str, names: Mapping[str, str], path: str = "") -> str:
    """Return the member (dotted where it lies deeper) that a property is, or an empty text.

    Args:
        shape: a structure's.
        name: the property.
        names: dotted property -> member, where the name does not tell; empty: the API has none.
        path: where the structure lies, as `rules.`.
    """
    if shape is None or shape.type_name != "structure":  # a mapping has no members of its own
        return ""
    if path + name in names:
        wanted = names[path + name]
        while (
            wanted and wanted.split(".")[0] not in shape.members
        ):  # an answer begins deeper than its request
            wanted = wanted.partition(".")[2]
        return wanted
    if name in shape.members:
        return name
    return next((member for member in shape.members if normal(member) == normal(name)), "")


def document(
    shape: Shape, values: Mapping[str, Any], names: Mapping[str, str], path: str = ""
) -> dict[str, Any]:
    """Return what of the values a structure has members for, in the API's names and types."""
    made: dict[str, Any] = {}
    for name, value in values.items():
        member = member_of(shape, name, names, path) if value is not None else ""
        if not member:
            continue
        inner, place = shape, made
        *above, last = member.split(".")
        for step in above:
            inner = inner.members[step]
            if inner.type_name == "list":  # a list of one: `Filter.0` would say the same
                entries = place.setdefault(step, [{}])
                inner, place = inner.member, entries[0]
            else:
                place = place.setdefault(step, {})
        place[last] = coerce(inner.members[last], value, names, f"{path}{name}.")
    return made


def coerce(shape: Shape, value: Value, names: Mapping[str, str], path: str = "") -> Value:
    """Return a value as a shape wants it."""
    kind = shape.type_name
    if kind == "structure":
        one = (value[0] if value else {}) if isinstance(value, list) else value
        return document(shape, one, names, path) if isinstance(one, Mapping) else one
    if kind == "list":
        return _list(shape, value, names, path)
    if kind == "map" and isinstance(value, Mapping):
        return {key: coerce(shape.value, one, names, path) for key, one in value.items()}
    if kind == "string":
        return text(value)
    if kind in ("integer", "long"):
        return int(float(value))
    if kind in ("float", "double"):
        return float(value)
    if kind == "boolean":
        return value in (True, "true")
    if kind == "blob" and isinstance(value, str):
        return value.encode()
    return value


def _list(shape: Shape, value: Value, names: Mapping[str, str], path: str) -> list[Any]:
    if isinstance(value, Mapping) and shape.member.type_name == "structure":
        for key, worth in PAIRS:
            if {key, worth} == set(shape.member.members) or (
                {key, worth} < set(shape.member.members) and key == "Key"
            ):
                return [{key: name, worth: str(one)} for name, one in sorted(value.items())]
    entries = value if isinstance(value, list) else [value]
    return [coerce(shape.member, one, names, path) for one in entries]


def text(value: Value) -> str:
    """Return a value as the API writes it where it wants texts."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def inside(shape: Shape, path: str) -> Shape:
    """Return the shape at a path as `Reservations[0].Instances`; filters in brackets do not count."""
    for step in re.sub(r"\[[^\]]*\]", "[]", path).split("|")[0].split("."):
        name = step.split("[")[0]
        if name:
            shape = shape.members[name]
        while shape.type_name == "list" and "[" in step:
            shape = shape.member
    return shape


def holds(asked: Value, found: Value) -> bool:
    """Return whether all that was asked for is true of what is there; what the service added does not count."""
    if isinstance(asked, Mapping):
        return isinstance(found, Mapping) and all(holds(one, found.get(key)) for key, one in asked.items())
    if isinstance(asked, list):
        return _all_there(asked, found if isinstance(found, list) else [])
    if found is None:
        return asked in (None, False, "", 0)
    if isinstance(asked, str) and isinstance(found, (str, dict)):
        return sametext(asked, found)
    return bool(asked == found or text(asked) == text(found))


def _all_there(asked: list[Any], found: list[Any]) -> bool:
    left = list(found)
    for one in asked:
        match = next((index for index, other in enumerate(left) if holds(one, other)), None)
        if match is None:
            return False
        del left[match]
    return not left


def sametext(asked: str, found: Value) -> bool:
    """Return whether two texts say the same: equal, or the same JSON, also where the API quotes it."""
    if asked == found:
        return True
    try:
        other = json.loads(urllib.parse.unquote(found)) if isinstance(found, str) else found
        return bool(json.loads(asked) == other)
    except json.JSONDecodeError:
        return False


def plain(value: Value) -> Value:
    """Return a part of an answer as a property: names in lower camel case, times as text."""
    if isinstance(value, Mapping):
        return {key[:1].lower() + key[1:]: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value.decode() if isinstance(value, bytes) else value
