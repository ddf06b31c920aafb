"""The example stacks as rows and judges see them: what the program registered, from the mocks."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from infra.program import program
from tests.mocks import ACCOUNT, Answers, Registered, record
from tests.policy.rows.resource import Resource, Stack, key_of
from tests.stacks import engine_config

ANSWERS: Answers = {
    "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": ACCOUNT},
    "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": ["zone-a", "zone-b", "zone-c"]},
    "aws:ssm/getParameter:getParameter": {"value": "ami-0123456789abcdef0"},
    "aws:servicequotas/getServiceQuota:getServiceQuota": {"value": 100_000.0},
}
"""What an account answers that has everything."""


@cache
def registered(stack: str) -> tuple[Registered, ...]:
    """Return what the real program registers for an example stack, credentials not being asked for."""
    config = {**engine_config(stack), "aws:profile": "example"}
    return tuple(record(program, answers=ANSWERS, config=config, stack=stack))


def example(stack: str) -> Stack:
    """Return an example stack for the rows to judge."""
    return Stack(resources(registered(stack)))


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
