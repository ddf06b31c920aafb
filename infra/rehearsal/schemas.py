"""Inputs judged by AWS's own resource schemas, which ship in the cfn-lint wheel.

They are CloudFormation's, and pulumi-aws speaks Terraform's words: inputs are put into the schema's names first
(`schema_names`), and what has no name there is not judged but listed (`unmapped`). Types, enums, patterns, lengths,
ranges and required properties are; what AWS checks beyond its schemas is not.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import regex
from pulumi.runtime.rpc import UNKNOWN

from infra.rehearsal.schema_names import TYPES, Row
from infra.rehearsal.schema_shapes import Schema, translate

REGION = "eu-central-1"
"""Whose schemas are read: those of the types that we use are the same in every region that has them."""


class NoSchemaError(LookupError):
    """A resource type that neither has a schema of its name nor a row that says which is its."""


def violations(type_token: str, inputs: Mapping[str, Any]) -> list[str]:
    """Return what AWS's schema forbids in the inputs, one line each; nothing where it has no schema.

    Args:
        type_token: as `aws:ec2/vpc:Vpc`.
        inputs: in Pulumi's names; values that are not known yet are not judged.

    Raises:
        NoSchemaError: the type is in no table.
    """
    row, schema = row_of(type_token), schema_of(type_token)
    if not schema:
        return []
    judged = translate(row, schema, inputs)
    supplied = {*row.supplied, *(schema.get("required", []) if row.under else [])}
    needed = [name for name in schema.get("required", []) if name not in supplied]
    whole = {**schema, "required": needed, **({"requiredXor": [], "requiredOr": []} if row.under else {})}
    found = []
    for error in VALIDATOR(whole).iter_errors(judged.document):
        if error.validator == "required" and any(f"'{name}' is" in error.message for name in supplied):
            continue
        if error.validator != "required" and _is_unknown(error.instance):
            continue
        path = tuple(error.absolute_path)
        where = judged.sources.get(path) or ".".join(str(part) for part in path) or "inputs"
        found.append(f"{type_token} `{where}`: {_short(error.message)} (schema {row.type})")
    return sorted(found)


def unmapped(type_token: str, inputs: Mapping[str, Any]) -> list[str]:
    """Return the pulumi properties of the inputs that the schema has no name for, so that they are not judged."""
    return translate(row_of(type_token), schema_of(type_token), inputs).unmapped


def replaces(type_token: str, name: str, value: object) -> bool | None:
    """Return whether AWS makes the resource anew when a property changes; None where its schema does not say.

    Args:
        type_token: as `aws:ec2/vpc:Vpc`.
        name: the property, in Pulumi's names.
        value: one that it has, whose shape tells where the schema keeps it.
    """
    row, schema = row_of(type_token), schema_of(type_token)
    if not schema:
        return None
    paths = [path for path in translate(row, schema, {name: value}).sources if path]
    if not paths:
        return None
    fixed = [tuple(one.split("/")[2:]) for one in schema.get("createOnlyProperties", [])]
    return any(path[: len(one)] == one for one in fixed for path in paths)


@cache
def row_of(type_token: str) -> Row:
    """Return a type's row; for one that is named alike, a row made of its token."""
    if type_token in TYPES:
        return TYPES[type_token]
    _, module, name = type_token.split(":")
    plain = f"aws::{module.split('/')[0]}::{name}".lower()
    for one in _types():
        if one.lower() == plain:
            return Row(type=one)
    raise NoSchemaError(
        f"no schema is named for `{type_token}`: add a row to infra/rehearsal/schema_names.py"
    )


@cache
def schema_of(type_token: str) -> Schema:
    """Return AWS's schema; empty where it has none."""
    row = row_of(type_token)
    if not row.type:
        return {}
    schema: Schema = json.loads((_folder() / "resources" / f"{_types()[row.type]}.json").read_text())
    return schema


def _short(message: str) -> str:
    """Return a message that stays one line: the value stands in front, the rule at the end."""
    return message if len(message) <= 400 else f"{message[:200]} … {message[-200:]}"


def _is_unknown(value: object) -> bool:
    return UNKNOWN in json.dumps(value, default=lambda _: UNKNOWN)


def _pattern(_validator: object, pattern: str, instance: object, _schema: Schema) -> Iterator[Exception]:
    """Judge a pattern in the dialect that AWS writes them in, which has Unicode classes."""
    if isinstance(instance, str) and not regex.search(pattern, instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _exactly_one(
    _validator: object, names: list[str], instance: Mapping[str, object], _schema: Schema
) -> Iterator[Exception]:
    given = [name for name in names if name in instance]
    if names and len(given) != 1:
        yield jsonschema.ValidationError(f"exactly one of {names} must be given, received {given}")


def _at_least_one(
    _validator: object, names: list[str], instance: Mapping[str, object], _schema: Schema
) -> Iterator[Exception]:
    if names and not any(name in instance for name in names):
        yield jsonschema.ValidationError(f"at least one of {names} must be given")


VALIDATOR = jsonschema.validators.extend(
    jsonschema.Draft7Validator,
    {"pattern": _pattern, "requiredXor": _exactly_one, "requiredOr": _at_least_one},
)


@cache
def _folder() -> Path:
    """The schemas' folder. cfn-lint itself is not imported for it: that takes 4 s."""
    found = importlib.util.find_spec("cfnlint")
    if found is None or not found.submodule_search_locations:
        raise NoSchemaError("cfn-lint is not installed: uv sync --group rehearse")
    return Path(found.submodule_search_locations[0]) / "data" / "schemas"


@cache
def _types() -> Mapping[str, str]:
    types: Mapping[str, str] = json.loads((_folder() / "providers" / f"{REGION}.json").read_text())
    return types
