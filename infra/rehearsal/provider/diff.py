"""Changed in place, or made anew? Decided by what the API's own calls take.

An approximation of the AWS plugin, judged against AWS's resource schemas by a test; rows correct it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.rehearsal.provider import shapes
from infra.rehearsal.provider.clients import Clients
from infra.rehearsal.provider.properties import DEFAULTS, Value
from infra.rehearsal.provider.row import Row


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What has changed of what is asked for."""

    changed: tuple[str, ...]
    """Properties."""
    replaces: tuple[str, ...]
    """Those of them that no call changes in place."""
    delete_first: bool
    """The new one cannot stand beside the old one: both have the same name."""


def difference(
    row: Row, clients: Clients, region: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Difference:
    """Return what has changed between two sets of inputs."""
    names = sorted((set(old) | set(new)) - {DEFAULTS})
    changed = tuple(name for name in names if _plain(old.get(name)) != _plain(new.get(name)))
    replaces = tuple(name for name in changed if not in_place(row, clients, region, name))
    fixed = bool(row.named) and row.named not in new.get(DEFAULTS, []) and row.named in new
    same_name = fixed and row.named not in changed
    return Difference(changed=changed, replaces=replaces, delete_first=bool(replaces) and same_name)


def in_place(row: Row, clients: Clients, region: str, name: str) -> bool:
    """Return whether a property can be changed without replacing the resource."""
    if name == "region" or name in row.replace:
        return False
    if name in row.in_place or name in row.local or (name == "tags" and row.tagging):
        return True
    client = clients.client(row.service, region)
    return any(
        shapes.member_of(clients.operation(client, operation).input_shape, name, row.names)
        for operation in row.update
    )


def _plain(value: Value) -> Value:
    """Let what says the same be the same: nothing and no entries, a number and its text."""
    if value in (None, [], {}):
        return None
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items() if _plain(one) is not None}
    return str(value).lower() if isinstance(value, (bool, int, float)) else value
