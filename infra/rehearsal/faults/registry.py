"""All faults by name, in the order in which they are done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from infra.cli.errors import InputError
from infra.rehearsal.faults import cloud, deploying, fleet, releases, training
from infra.rehearsal.faults.fault import Fault, Stage

FAULTS: dict[str, Fault[Any]] = {
    one.name: one
    for one in (*deploying.FAULTS, *training.FAULTS, *cloud.FAULTS, *releases.FAULTS, *fleet.FAULTS)
}


def chosen(names: Iterable[str], stage: Stage | None = None) -> list[Fault[Any]]:
    """Return the faults of some names, those of one stage alone or of all.

    Raises:
        InputError: there is no such fault.
    """
    asked = set(names)
    if unknown := sorted(asked - set(FAULTS)):
        raise InputError(f"--fault must be one of {', '.join(FAULTS)}, got `{unknown[0]}`; take one of them")
    return [one for one in FAULTS.values() if one.name in asked and stage in (None, one.stage)]
