"""Settings that the load balancer's API keeps as texts under keys, apart from the resource itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.rehearsal.provider import shapes
from infra.rehearsal.provider.properties import Value
from infra.rehearsal.provider.target import Target


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """The keyed settings of one kind."""

    noun: str
    """Of the calls: `modify_<noun>_attributes`, `describe_<noun>_attributes`."""
    member: str
    """Member that names the resource."""
    keys: Mapping[str, str]
    """Property, or block and property with a dot -> key."""

    @property
    def properties(self) -> tuple[str, ...]:
        """The properties that are kept so."""
        return tuple(dict.fromkeys(name.split(".")[0] for name in self.keys))

    def write(self, target: Target, changed: set[str]) -> None:
        """Set what has changed."""
        wanted = []
        for name, key in self.keys.items():
            value = _value(target.inputs, name) if name.split(".")[0] in changed else None
            if value is not None:
                wanted.append({"Key": key, "Value": shapes.text(value)})
        if wanted:
            target.call(f"modify_{self.noun}_attributes", **{self.member: target.id}, Attributes=wanted)

    def read(self, target: Target) -> dict[str, Any]:
        """Return the settings as they are."""
        answer = target.call(f"describe_{self.noun}_attributes", **{self.member: target.id})
        there = {one["Key"]: one["Value"] for one in answer["Attributes"]}
        seen: dict[str, Any] = {}
        for name, key in self.keys.items():
            block, _, inner = name.partition(".")
            if key not in there:
                continue
            if inner:
                seen.setdefault(block, {})[inner] = there[key]
            else:
                seen[block] = there[key]
        return seen


def _value(inputs: Mapping[str, Any], name: str) -> Value:
    block, _, inner = name.partition(".")
    value = inputs.get(block)
    if inner:
        return (value or {}).get(inner)
    return value
