"""Inputs in Pulumi's names and shapes, put into those of AWS's resource schemas."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import regex
from pulumi.runtime.rpc import UNKNOWN

from infra.rehearsal.schema_names import Row

Schema = Mapping[str, Any]
PULUMI_ONLY = ("region",)
"""Where a resource is made; in CloudFormation that is the stack's, not the resource's."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Inputs in the schema's names."""

    row: Row
    """How the type's names differ."""
    document: dict[str, Any] = field(default_factory=dict)
    """Properties by the schema's names."""
    sources: dict[tuple[str | int, ...], str] = field(default_factory=dict)
    """Path in the document -> pulumi property."""
    unmapped: list[str] = field(default_factory=list)
    """Pulumi properties that the schema has no name for."""


def translate(row: Row, schema: Schema, inputs: Mapping[str, Any]) -> Judged:
    """Return the inputs in the schema's names.

    Args:
        row: the type's.
        schema: AWS's; empty: nothing has a name in it.
        inputs: in Pulumi's names.
    """
    judged = Judged(row=row)
    inputs = {name: value for name, value in inputs.items() if name not in PULUMI_ONLY}
    for source, value in _flat(row.names, inputs):
        target = row.names.get(source)
        if target is None:
            base = row.under.split(".") if row.under else []
            name = _named(schema, base, source)
            target = ".".join([*base, name]) if name else ""
        if target and value is not None:
            _put(judged, schema, target.split("."), source, value)
        elif not target:
            judged.unmapped.append(source)
    return judged


def _flat(names: Iterable[str], inputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield properties; those of a block that has rows of its own one by one, with dotted names."""
    blocks = {name.partition(".")[0] for name in names if "." in name}
    for name, value in inputs.items():
        if name in blocks and isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", one) for inner, one in value.items())
        else:
            yield name, value


def _put(judged: Judged, schema: Schema, target: list[str], source: str, value: object) -> None:
    inside, place, path = judged.document, schema, tuple(target)
    for part in target[:-1]:
        inside = inside.setdefault(part, {})
        place = resolve(schema, place["properties"][part])
    shape = place.get("properties", {}).get(target[-1])
    if shape is None:
        judged.unmapped.append(source)
        return
    judged.sources[path] = source
    inside[target[-1]] = _shaped(judged, schema, resolve(schema, shape), path, source, value)


def _shaped(
    judged: Judged, schema: Schema, shape: Schema, path: tuple[str | int, ...], source: str, value: object
) -> object:
    """Return a value in the shape that the schema asks for: blocks, lists of one, tag maps, numbers as text."""
    judged.sources[path] = source
    kinds = shape.get("type", "object" if "properties" in shape else ())
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if "array" in kinds:
        items = resolve(schema, shape.get("items", {}))
        pair = {"Key", "Value"} <= set(items.get("properties", ()))
        if isinstance(value, Mapping) and pair and not {"key", "value"} <= set(value):
            return [{"Key": key, "Value": one} for key, one in value.items()]
        values = value if isinstance(value, list) else [value]
        return [
            _shaped(judged, schema, items, (*path, at), f"{source}[{at}]", one)
            for at, one in enumerate(values)
        ]
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, Mapping) and "properties" in shape:
        return _block(judged, schema, shape, path, source, value)
    return _scalar(kinds, value)


def _block(
    judged: Judged,
    schema: Schema,
    shape: Schema,
    path: tuple[str | int, ...],
    source: str,
    value: Mapping[str, Any],
) -> dict[str, Any]:
    made = {}
    for key, one in _flat(judged.row.inner, value):
        name = judged.row.inner.get(key, _match(shape["properties"], key))
        if not name or name not in shape["properties"]:
            judged.unmapped.append(f"{source}.{key}")
        elif one is not None:
            inner = resolve(schema, shape["properties"][name])
            made[name] = _shaped(judged, schema, inner, (*path, name), f"{source}.{key}", one)
    return made


def _scalar(kinds: list[str], value: object) -> object:
    """Return a value as the schema types it: Terraform writes some numbers as text, and CloudFormation others."""
    if isinstance(value, str) and value != UNKNOWN and "string" not in kinds:
        if "boolean" in kinds and value in ("true", "false"):
            return value == "true"
        if {"integer", "number"} & set(kinds) and regex.fullmatch(r"-?\d+(\.\d+)?", value):
            return float(value) if "." in value else int(value)
        if "object" in kinds and value.startswith("{"):
            return json.loads(value)
    if kinds == ["string"] and isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # every number is a double on its way through the engine
    if kinds == ["string"] and isinstance(value, int):
        return str(value)
    return value if isinstance(value, str | int | float | Mapping | list) else UNKNOWN


def resolve(schema: Schema, shape: Schema) -> Schema:
    """Return the definition that a `$ref` names."""
    while "$ref" in shape:
        found: Schema = schema
        for part in shape["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        shape = found
    return shape


def _named(schema: Schema, base: list[str], name: str) -> str:
    place = schema
    for part in base:
        place = resolve(schema, place["properties"][part])
    hidden = {one.removeprefix("/properties/") for one in schema.get("readOnlyProperties", [])}
    return _match([one for one in place.get("properties", ()) if base or one not in hidden], name)


def _match(names: Iterable[str], name: str) -> str:
    return next((one for one in names if _plain(one) == _plain(name)), "")


def _plain(name: str) -> str:
    return name.lower().replace("_", "").removesuffix("s")
