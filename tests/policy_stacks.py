"""The example stacks as rows and judges see them: what the program registered, from the mocks."""

from __future__ import annotations

from collections.abc import Iterable

from tests.mocks import Registered
from tests.policy.rows.resource import Resource, Stack, key_of
from tests.stacks import recorded


def example(stack: str) -> Stack:
    """Return an example stack for the rows to judge."""
    return Stack(resources(recorded(stack).resources))


def resources(found: Iterable[Registered]) -> list[Resource]:
    """Return registrations as the rows see them."""
    return [
        Resource(
            type=one.type,
            name=one.name,
            inputs=one.inputs,
            references={
                name: tuple(key_of(urn) for urn in dependency.get("urns", ()))
                for name, dependency in one.options.get("propertyDependencies", {}).items()
            },
            protect=bool(one.options.get("protect")),
        )
        for one in found
    ]
