"""Ways to break a stack: each makes one change, and fails where there is nothing to change."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.policy.rows.resource import Resource, Stack

Change = Callable[[Stack], Stack]


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """A broken property, and the row that must go red."""

    row: int
    """P01..P63."""
    what: str
    """What is broken, in words."""
    change: Change
    """Breaks it."""
    stack: str = "prod"
    """The example stack that is broken."""


def put(kind: str, path: str, value: Any, name: str = "") -> Change:
    """Give the first resource of a type (or the named one) another value at a dotted path; None takes it away."""

    def change(one: Resource) -> Resource:
        inputs = copy.deepcopy(dict(one.inputs))
        *way, last = path.split(".")
        found: Any = inputs
        for step in way:
            found = found[int(step)] if isinstance(found, list) else found.setdefault(step, {})
        if value is None:
            del found[last]
        else:
            found[int(last) if isinstance(found, list) else last] = value
        kept = {by: keys for by, keys in one.references.items() if value is not None or by != path}
        return replace(one, inputs=inputs, references=kept)

    return _changed(kind, name, change)


def refer(kind: str, path: str, *keys: str, name: str = "") -> Change:
    """Let the first resource of a type (or the named one) refer to others by a property."""
    return _changed(kind, name, lambda one: replace(one, references={**one.references, path: keys}))


def unprotect(kind: str) -> Change:
    """Take a resource's protection away."""
    return _changed(kind, "", lambda one: replace(one, protect=False))


def remove(kind: str, name: str = "") -> Change:
    """Take the first resource of a type (or the named one) away."""

    def change(stack: Stack) -> Stack:
        gone = _find(stack, kind, name)
        return Stack(one for one in stack.resources if one is not gone)

    return change


def add(kind: str, **inputs: Any) -> Change:
    """Put a resource beside the others."""
    return lambda stack: Stack([*stack.resources, Resource(type=kind, name="mutant", inputs=inputs)])


def _find(stack: Stack, kind: str, name: str) -> Resource:
    return next(one for one in stack.of(kind) if name in ("", one.name))


def _changed(kind: str, name: str, change: Callable[[Resource], Resource]) -> Change:
    def changed(stack: Stack) -> Stack:
        found = _find(stack, kind, name)
        return Stack(change(one) if one is found else one for one in stack.resources)

    return changed
