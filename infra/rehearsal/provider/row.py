"""One resource type: which calls make, show, change and delete it, and what is called otherwise there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from infra.rehearsal.provider.properties import Value

if TYPE_CHECKING:
    from infra.rehearsal.provider.target import Target


def nothing() -> Mapping[str, Any]:
    """Return a mapping without entries."""
    return MappingProxyType({})


Kind = Literal["emulated", "patched", "recorded"]


@dataclass(frozen=True, kw_only=True)
class Tagging:
    """How a service puts tags on a resource and shows them."""

    add: str
    """Call that adds or overwrites."""
    remove: str
    """Call that takes keys away."""
    show: str = ""
    """Call that lists them; empty: they stand in what the row's `read` found."""
    path: str = "Tags"
    """Where they lie in the answer (JMESPath)."""
    address: Mapping[str, str] = field(default_factory=nothing)
    """Member that names the resource -> JMESPath over the scope (see `Target.scope`)."""
    removes_pairs: bool = False
    """`remove` wants keys with values instead of keys."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A resource type; expressions are JMESPath over `Target.scope`."""

    service: str
    """Service as botocore names it."""
    kind: Kind = "emulated"
    """What stands behind it: the emulator, the emulator as patched by us, or a record on disk alone."""
    create: str
    """Call that makes it."""
    read: str = ""
    """Call that shows it; empty only where `recorded`."""
    update: tuple[str, ...] = ()
    """Calls that change it in place: properties that none of them takes are changed by replacing."""
    delete: str = ""
    """Call that deletes it; empty: nothing is to delete."""
    id: str
    """Id, when it is made."""
    address: Mapping[str, str] = field(default_factory=nothing)
    """Members that name the resource in any call -> expression."""
    found: str = ""
    """Where in the answer of `read` it lies; empty: the answer itself."""
    names: Mapping[str, str] = field(default_factory=nothing)
    """Property (dotted) -> member of the API where the name does not tell; empty: none."""
    fixed: Mapping[str, Mapping[str, Any]] = field(default_factory=nothing)
    """Call -> members that it always gets."""
    outputs: Mapping[str, str] = field(default_factory=nothing)
    """Computed property -> expression."""
    moves: tuple[str, ...] = ()
    """Computed properties that an update changes: unknown in its preview."""
    replace: tuple[str, ...] = ()
    """Properties that are changed by replacing, though a call takes them."""
    in_place: tuple[str, ...] = ()
    """Properties that `change` changes in place."""
    local: tuple[str, ...] = ()
    """Properties that only steer the plugin; AWS never sees them."""
    unseen: tuple[str, ...] = ()
    """Properties that the API never shows again, or not as they were given: no drift is found there."""
    named: str = ""
    """Property that we make up where it is not given; empty: none."""
    name_limit: int = 63
    """Longest name."""
    gone: str = ""
    """Expression over what was found that says it counts as deleted (a key that waits for its deletion)."""
    tagging: Tagging | None = None
    """How it is tagged; None: it is not, or its calls do it."""
    mend: Callable[[Target, str, dict[str, Any]], dict[str, Any]] | None = None
    """Mends a request (call, members) before it is sent."""
    change: Callable[[Target, set[str]], None] | None = None
    """Makes changes that plain calls cannot, after creating and at every update; gets the changed properties."""
    seen: Callable[[Target, Mapping[str, Any]], Mapping[str, Any]] | None = None
    """Returns properties as they are, where `read` does not show them."""
    told: Callable[[Target], Mapping[str, Any]] | None = None
    """Returns computed properties that another call tells."""
    before_delete: Callable[[Target], None] | None = None
    """Clears what would stop a deletion."""
    adopts: Callable[[Target], str | None] | None = None
    """Returns the id of what is already there and is taken over (AWS's default group, a service's own role)."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Property -> why the row deviates from the plugin there."""


def put(service: str, noun: str, **more: Value) -> Row:
    """Return the row of a part of a bucket: `put` makes and changes it, `get` shows it, `delete` takes it away."""
    base: dict[str, Any] = {
        "create": f"put_{noun}",
        "update": (f"put_{noun}",),
        "read": f"get_{noun}",
        "delete": f"delete_{noun}",
        "id": "inputs.bucket",
        "address": {"Bucket": "inputs.bucket"},
        "replace": ("bucket",),
    }
    return Row(service=service, **{**base, **more})
