"""What the engine does with a resource: make, look, change, delete. The same for every type, led by its row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import botocore.exceptions

from infra.rehearsal.provider import shapes, tags
from infra.rehearsal.provider.properties import DEFAULTS, Value
from infra.rehearsal.provider.recorded import Records
from infra.rehearsal.provider.target import CallError, Target, is_gone

MARKED = ("create_", "allocate_", "request_", "import_", "authorize_")
"""Calls of which a second one would make a second thing; `put_...` says the same again."""


def create(target: Target) -> dict[str, Any]:
    """Make a resource and return its properties; `target.id` is its id then."""
    row = target.row
    adopted = row.adopts(target) if row.adopts else None
    if adopted:
        target.id = adopted
        consumed: set[str] = set()
    else:
        consumed = _make(target)
    if row.kind != "recorded":
        read_outputs(target)
        apply(target, set(target.inputs) - consumed, {})
    return finish(target)


def _make(target: Target) -> set[str]:
    """Call `create`; return the properties that it took."""
    row = target.row
    shape = target.shape(row.create)
    members = shapes.document(shape, asked_inputs(target), row.names)
    request = target.request(row.create, members)
    if row.kind == "recorded":
        target.answer = {"Recorded": Records.of_environment().write(target, request)}
        target.id = str(target.value(row.id))
        return set(target.inputs)
    token = target.token() if row.create.startswith(MARKED) else ""
    target.answer = _called(target, request, token)
    target.id = str(target.value(row.id))
    if token and look(target) is None:  # the mark is of one that was deleted since
        target.answer = _called(target, request, target.token(fresh=True))
        target.id = str(target.value(row.id))
    return {name for name in asked_inputs(target) if shapes.member_of(shape, name, row.names)}


def _called(target: Target, request: dict[str, Any], token: str) -> Value:
    try:
        return target.call(target.row.create, token=token, **request)
    except botocore.exceptions.ClientError as error:  # what it needs is not there
        raise CallError(target.refusal(target.row.create, error)) from error


def finish(target: Target) -> dict[str, Any]:
    """Return the properties of what was made or changed: as asked for, with what the API tells."""
    return {**target.inputs, **read_outputs(target)}


def look(target: Target) -> dict[str, Any] | None:
    """Return the resource as the API shows it, or None where it is gone."""
    row = target.row
    if row.kind == "recorded":
        return Records.of_environment().read(record_of(target))
    try:
        answer = target.call(row.read, **target.request(row.read, {}))
    except botocore.exceptions.ClientError:
        return None
    found = target.filled(row.found, answer) if row.found else answer
    if not found or (row.gone and target.value(row.gone, found=found)):
        return None
    return dict(found) if isinstance(found, Mapping) else {"value": found}


def record_of(target: Target) -> str:
    """Return the identity of a recorded resource, which the engine's state keeps."""
    return str(target.state.get("recorded") or target.answer.get("Recorded", ""))


def read_outputs(target: Target) -> dict[str, Any]:
    """Return the computed properties, and keep them in the target."""
    found = look(target)
    if found is None:
        raise CallError(target.refusal(target.row.read, LookupError(f"`{target.id}` is not there")))
    outputs = outputs_of(target, found)
    target.state.update(outputs)
    return outputs


def outputs_of(target: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the computed properties of what was found."""
    made: dict[str, Any] = {}
    for name, expression in target.row.outputs.items():
        known = {**target.state, **made}
        made[name] = shapes.plain(target.value(expression, found=found, state=known))
    if target.row.told:
        made.update(target.row.told(target))
    if target.row.kind == "recorded":
        made["recorded"] = record_of(target)
    made["region"] = target.region
    return {name: value for name, value in made.items() if value is not None}


def asked_inputs(target: Target) -> dict[str, Any]:
    """Return the inputs that AWS sees."""
    row = target.row
    hidden = {DEFAULTS, "region", "tags" if row.tagging else "", *row.local, *row.in_place}
    return {name: value for name, value in target.inputs.items() if name not in hidden}


def apply(target: Target, changed: set[str], tags_before: Mapping[str, str]) -> None:
    """Make the calls that changed properties need."""
    row = target.row
    inputs = asked_inputs(target)
    for operation in row.update:
        shape = target.shape(operation)
        touched = [name for name in inputs if name in changed and shapes.member_of(shape, name, row.names)]
        if touched and not (operation == row.create and not target.before):
            members = shapes.document(shape, inputs, row.names)
            target.call(operation, **target.request(operation, members))
    if row.change:
        row.change(target, changed)
    if "tags" in changed and row.tagging:
        tags.write(target, target.inputs.get("tags") or {}, tags_before)


def update(target: Target, changed: set[str]) -> dict[str, Any]:
    """Change a resource in place and return its properties."""
    row = target.row
    if row.kind == "recorded":
        members = shapes.document(target.shape(row.create), asked_inputs(target), row.names)
        Records.of_environment().write(target, target.request(row.create, members), record_of(target))
    else:
        try:
            apply(target, changed, target.before.get("tags") or {})
        except botocore.exceptions.ClientError as error:
            raise CallError(target.refusal("update", error)) from error
    return finish(target)


def read(target: Target) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return inputs and properties of a resource as they are now, or None where it is gone.

    What we did not ask for does not count; what we asked for and is otherwise comes back as it is.
    """
    found = look(target)
    if found is None:
        return None
    inputs = {**target.inputs, **drifted(target, found)}
    return inputs, {**inputs, **outputs_of(target, found)}


def drifted(target: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that are not as they were asked for, as they are."""
    row = target.row
    seen = dict(row.seen(target, found)) if row.seen else {}
    if row.kind != "recorded":
        there = tags.read(target, found)
        if there is not None:
            seen["tags"] = there
    other: dict[str, Any] = {
        name: value
        for name, value in seen.items()
        if (name in target.inputs or name == "tags") and not _same(target.inputs.get(name), value, name)
    }
    shape = _found_shape(target)
    for name, value in asked_inputs(target).items():
        member = shapes.member_of(shape, name, row.names)
        if name in seen or name in row.unseen or not member:
            continue
        asked = shapes.document(shape, {name: value}, row.names)
        if not shapes.holds(asked, found):
            other[name] = shapes.plain(_at(found, member))
    return other


def _same(asked: Value, found: Value, name: str) -> bool:
    if name == "tags" and isinstance(found, Mapping):  # one that somebody added is a difference too
        return (asked or {}) == found
    return shapes.holds(asked, found)


def _at(found: Value, member: str) -> Value:
    for step in member.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _found_shape(target: Target) -> Value:
    row = target.row
    if row.kind == "recorded":
        return target.shape(row.create)
    shape = target.clients.operation(target.client, row.read).output_shape
    return shapes.inside(shape, row.found) if shape is not None and row.found else shape


def delete(target: Target) -> None:
    """Delete a resource; one that is gone already is as good."""
    row = target.row
    if row.kind == "recorded":
        Records.of_environment().delete(record_of(target))
        return
    try:
        if row.before_delete:
            row.before_delete(target)
        if row.delete:
            target.call(row.delete, **target.request(row.delete, {}))
    except botocore.exceptions.ClientError as error:
        if not is_gone(error):
            raise
