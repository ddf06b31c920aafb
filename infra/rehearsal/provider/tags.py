"""Tags: how each service is told of them, and how it shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jmespath

from infra.rehearsal.provider import shapes
from infra.rehearsal.provider.row import Tagging
from infra.rehearsal.provider.target import Target

ARN = "state.arn || id"
EC2 = Tagging(add="create_tags", remove="delete_tags", address={"Resources": "[id]"}, removes_pairs=True)
EC2_LISTED = Tagging(
    add=EC2.add,
    remove=EC2.remove,
    show="describe_tags",
    address={**EC2.address, "Filters": "[{Name: 'resource-id', Values: [id]}]"},
    removes_pairs=True,
)
"""For what the API describes without its tags."""


def by_arn(member: str, show: str = "list_tags_for_resource", path: str = "Tags") -> Tagging:
    """Return the tagging of a service that names a resource by its ARN."""
    return Tagging(add="tag_resource", remove="untag_resource", show=show, path=path, address={member: ARN})


def write(target: Target, wanted: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Make the resource's tags what is wanted; tags of others stay."""
    tagging = target.row.tagging
    if tagging is None:
        return
    lost = {key: value for key, value in before.items() if key not in wanted}
    if lost:
        _tell(target, tagging, tagging.remove, lost if tagging.removes_pairs else list(lost))
    if wanted:
        _tell(target, tagging, tagging.add, dict(wanted))


def read(target: Target, found: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the tags that are there without AWS's own; None where the type has none."""
    tagging = target.row.tagging
    if tagging is None:
        return None
    shown: Any = found
    if tagging.show:
        shown = target.call(tagging.show, **_named(target, tagging, tagging.show))
    entries = jmespath.search(tagging.path, shown) or []
    pairs = dict(entries) if isinstance(entries, Mapping) else dict(_pair(one) for one in entries)
    return {key: value for key, value in pairs.items() if not key.startswith("aws:")}


def _tell(target: Target, tagging: Tagging, operation: str, tags: Mapping[str, str] | list[str]) -> None:
    shape = target.shape(operation)
    named = _named(target, tagging, operation)
    (member,) = (name for name in shape.members if "tag" in name.lower() and name not in named)
    target.call(operation, **named, **{member: shapes.coerce(shape.members[member], tags, {})})


def _named(target: Target, tagging: Tagging, operation: str) -> dict[str, Any]:
    members = target.shape(operation).members
    return {
        member: target.value(expression)
        for member, expression in tagging.address.items()
        if member in members
    }


def _pair(entry: Mapping[str, str]) -> tuple[str, str]:
    values = {key.removeprefix("Tag"): value for key, value in entry.items()}
    return values["Key"], values.get("Value", "")
