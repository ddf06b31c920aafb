"""Resources as the rows see them: the same whether the engine or the mocks hand them over."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Tree = Mapping[str, Any]


class NotYetKnownError(Exception):
    """A value that a preview cannot know: whoever judges it has nothing to say until the update."""


class Unknown:
    """Stands where the engine has no value yet."""


UNKNOWN = Unknown()


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource of a stack."""

    type: str
    """Type token, as `aws:ec2/vpc:Vpc`."""
    name: str
    """Logical name."""
    inputs: Tree
    """Properties, camelCase; `UNKNOWN` where there is no value yet."""
    references: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys of the resources that a property is made of, by property."""
    protect: bool = False
    """Whether the engine refuses to delete it."""

    @property
    def key(self) -> str:
        """Type and name: what other resources refer to."""
        return f"{self.type}::{self.name}"

    def get(self, path: str) -> Any:
        """Return a property by its dotted path, None where there is none."""
        return get(self.inputs, path)

    def has(self, path: str) -> bool:
        """Return whether a property is set, known or not."""
        return has(self.inputs, path)

    def items(self, path: str) -> list[Tree]:
        """Return a property that is a list of blocks."""
        return items(self.inputs, path)


class Stack:
    """All resources of a stack, and who refers to whom."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        """Keep the resources by key."""
        self.resources = list(resources)
        self.by_key = {one.key: one for one in self.resources}

    def of(self, *types: str) -> list[Resource]:
        """Return the resources of some types."""
        return [one for one in self.resources if one.type in types]

    def referring(self, to: Resource, kind: str, by: str) -> list[Resource]:
        """Return the resources of a type that refer to another one by a property."""
        return [one for one in self.of(kind) if to.key in one.references.get(by, ())]

    def referred(self, source: Resource, by: str) -> list[Resource]:
        """Return what a resource refers to by a property."""
        return [self.by_key[key] for key in source.references.get(by, ()) if key in self.by_key]

    @property
    def kept(self) -> bool:
        """Whether the stack guards anything against deletion, as production does."""
        return any(
            one.protect or one.inputs.get("enableDeletionProtection") is True for one in self.resources
        )


def key_of(urn: str) -> str:
    """Return the key of a URN: the type without its parents', and the name."""
    *_, kinds, name = urn.split("::")
    return f"{kinds.split('$')[-1]}::{name}"


def get(tree: Tree, path: str) -> Any:
    """Return what lies at a dotted path, None where nothing does.

    Raises:
        NotYetKnownError: the way there, or its end, has no value yet.
    """
    found: Any = tree
    for step in path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
        if found is UNKNOWN:
            raise NotYetKnownError(path)
    return found


def has(tree: Tree, path: str) -> bool:
    """Return whether something lies at a dotted path, known or not."""
    try:
        return get(tree, path) not in (None, "", [], {})
    except NotYetKnownError:
        return True


def items(tree: Tree, path: str) -> list[Tree]:
    """Return the blocks at a dotted path, none where nothing lies."""
    return list(get(tree, path) or ())


def on(value: Any) -> bool:
    """Return whether a switch is on; some of AWS's are the word `true`."""
    return value is True or value == "true"


def statements(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the statements of a policy document, with lists where IAM allows one value without."""
    if document is UNKNOWN:
        raise NotYetKnownError("policy")
    read = json.loads(document) if isinstance(document, str) else (document or {"Statement": []})
    for one in _listed(read["Statement"]):
        yield {
            **one,
            "Action": _listed(one.get("Action", [])),
            "Resource": _listed(one.get("Resource", [])),
            "Condition": one.get("Condition", {}),
        }


def principals(statement: Mapping[str, Any], kind: str) -> list[str]:
    """Return who a statement speaks of, of one kind (`AWS`, `Service`); `*` is everybody of every kind."""
    principal = statement.get("Principal", {})
    return [principal] if isinstance(principal, str) else _listed(principal.get(kind, []))


def condition_keys(statement: Mapping[str, Any]) -> set[str]:
    """Return the condition keys of a statement, in small letters: AWS does not tell large from small."""
    return {key.lower() for operator in statement["Condition"].values() for key in operator}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
