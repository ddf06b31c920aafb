"""A row of the scorecard: what it judges, and the question it asks of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from .exceptions import EXEMPT
from .resource import NotYetKnownError, Resource, Stack

Level = Literal["mandatory", "advisory"]
Alone = Callable[[Resource], Iterator[str]]
Among = Callable[[Resource, Stack], Iterator[str]]


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One resource that breaks a row."""

    row: str
    """The row's policy name."""
    key: str
    """The resource."""
    message: str
    """What is wrong with it, and what would be right."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row that applies, as a policy."""

    number: int
    """P01..P63."""
    title: str
    """Last part of the policy's name, as `imdsv2`."""
    description: str
    """What must hold, with the ids of who else asks for it."""
    types: tuple[str, ...]
    """Type tokens of the resources that it judges."""
    check: Among
    """Yields what is wrong with one of them, seen among all others."""
    alone: bool
    """Whether one resource tells all: such a row stops a resource before it is made."""
    level: Level
    """Mandatory rows stop a preview, advisory ones only speak."""

    @property
    def name(self) -> str:
        """The policy's name, as `p13-imdsv2`."""
        return f"p{self.number:02d}-{self.title}"

    def violations(self, resource: Resource, stack: Stack) -> Iterator[Violation]:
        """Yield what is wrong with one resource; nothing where the preview cannot know yet."""
        if resource.type not in self.types or (self.number, resource.name) in EXEMPT:
            return
        try:
            for message in self.check(resource, stack):
                yield Violation(row=self.name, key=resource.key, message=message)
        except NotYetKnownError:
            return

    def judge(self, stack: Stack) -> list[Violation]:
        """Return what is wrong with a stack."""
        return [found for resource in stack.resources for found in self.violations(resource, stack)]


def alone(
    number: int, title: str, description: str, *types: str, level: Level = "mandatory"
) -> Callable[[Alone], Row]:
    """Make a row of a question to one resource."""

    def made(question: Alone) -> Row:
        return Row(
            number=number,
            title=title,
            description=description,
            types=types,
            check=lambda resource, _: question(resource),
            alone=True,
            level=level,
        )

    return made


def among(
    number: int, title: str, description: str, *types: str, level: Level = "mandatory"
) -> Callable[[Among], Row]:
    """Make a row of a question to one resource that only the others can answer."""

    def made(question: Among) -> Row:
        return Row(
            number=number,
            title=title,
            description=description,
            types=types,
            check=question,
            alone=False,
            level=level,
        )

    return made
