"""Changed in place or made anew: the stand-in decides by what API calls take, AWS's schemas say what is create-only.

Every property that a stack sets is compared; where the two differ, the difference and its reason stand here.
"""

from __future__ import annotations

from functools import cache

from infra.rehearsal.provider.clients import Clients
from infra.rehearsal.provider.diff import in_place
from infra.rehearsal.provider.table import row_of
from infra.rehearsal.schemas import replaces
from tests.stacks import STACKS, recorded

REGION = "eu-central-1"
ANEW, IN_PLACE = "the stand-in replaces", "the stand-in updates"
DIFFERENCES: dict[tuple[str, str], tuple[str, str]] = {}
"""(type, property) -> what the stand-in does against the schema, and why."""


@cache
def decisions() -> dict[tuple[str, str], tuple[bool, bool | None]]:
    """Return, for every property that a stack sets, whether the stand-in and the schema make it anew."""
    clients = Clients(REGION)
    found: dict[tuple[str, str], tuple[bool, bool | None]] = {}
    for stack in STACKS:
        for one in recorded(stack).resources:
            if not one.type.startswith("aws:"):
                continue
            row = row_of(one.type)
            for name, value in one.inputs.items():
                said = replaces(one.type, name, value)
                if said is None:  # a value that is empty shows no place in the schema: another one may
                    said = found.get((one.type, name), (False, None))[1]
                found[one.type, name] = not in_place(row, clients, REGION, name), said
    return found


def test_the_stand_in_decides_as_the_schemas_say() -> None:
    """But where it is written down otherwise."""
    differing = {
        key: ANEW if ours else IN_PLACE
        for key, (ours, said) in decisions().items()
        if said is not None and ours != said
    }
    assert differing == {key: ours for key, (ours, _) in DIFFERENCES.items()}


def test_enough_is_compared() -> None:
    """Most properties have a name in the schemas; the others are listed in schema_unjudged.yaml."""
    compared = [key for key, (_, said) in decisions().items() if said is not None]
    assert len(decisions()) > 250
    assert len(compared) > 0.7 * len(decisions())
