"""Resources as a Terraform plan, so that a tool which reads Terraform judges this program.

checkov needs no more of a plan than the values, and what refers to what (trust.md 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pulumi

from tests.judge.terraform_names import ATTRIBUTES, OTHERWISE, TYPES, singular, snake
from tests.policy.rows.resource import UNKNOWN, Resource

Values = dict[str, Any]


def plan(resources: Iterable[Resource]) -> Values:
    """Return a plan that makes these resources; components are left out, as Terraform has none.

    Raises:
        ValueError: a type of the program is missing in the table.
    """
    found = [one for one in resources if one.type.startswith("aws:")]
    missing = sorted({one.type for one in found} - set(TYPES))
    if missing:
        raise ValueError(f"types without a Terraform name: {', '.join(missing)}; add them to TYPES")
    addresses = {one.key: address(one) for one in found}
    return {
        "format_version": "1.2",
        "terraform_version": "1.9.0",
        "planned_values": {"root_module": {"resources": [_planned(one) for one in found]}},
        "resource_changes": [
            {**_named(one), "change": {"actions": ["create"], "before": None, "after": values(one.inputs)}}
            for one in found
        ],
        "configuration": {
            "root_module": {
                "resources": [{**_named(one), "expressions": _references(one, addresses)} for one in found]
            }
        },
    }


def address(one: Resource) -> str:
    """Return a resource's address in a plan."""
    return f"{TYPES[one.type]}.{one.name}"


def values(tree: Mapping[str, Any]) -> Values:
    """Return properties under Terraform's names, a single block as a list of one; unknown ones are left out."""
    return dict(_entry(name, value) for name, value in tree.items() if value is not UNKNOWN)


def _entry(name: str, value: Any) -> tuple[str, Any]:
    snaked = snake(name)
    if isinstance(value, pulumi.Asset | pulumi.Archive):
        return snaked, getattr(value, "path", "")
    if snaked in ATTRIBUTES and isinstance(value, Mapping):
        return snaked, dict(value)
    if isinstance(value, Mapping):
        return snaked, [values(value)]
    if isinstance(value, list | tuple):
        known = [one for one in value if one is not UNKNOWN]
        if any(isinstance(one, Mapping) for one in known):
            blocks = [values(one) for one in known]
            attribute = snaked in ATTRIBUTES and snaked != "tags"  # a group's tags are blocks: `tag`
            return (snaked if attribute else singular(snaked)), blocks
        return OTHERWISE.get(snaked, snaked), known
    if isinstance(value, float) and value.is_integer():
        return snaked, int(value)
    return snaked, value


def _named(one: Resource) -> Values:
    return {
        "address": address(one),
        "mode": "managed",
        "type": TYPES[one.type],
        "name": one.name,
        "provider_name": "registry.terraform.io/hashicorp/aws",
    }


def _planned(one: Resource) -> Values:
    return {**_named(one), "schema_version": 0, "values": values(one.inputs)}


def _references(one: Resource, addresses: Mapping[str, str]) -> Values:
    """Return the addresses that each property refers to, as Terraform lists them: the attribute, then the resource."""
    found = {}
    for name, keys in one.references.items():
        others = [addresses[key] for key in keys if key in addresses]
        if others:
            found[_entry(name, one.inputs.get(name))[0]] = {
                "references": [text for other in others for text in (f"{other}.id", other)]
            }
    return found
