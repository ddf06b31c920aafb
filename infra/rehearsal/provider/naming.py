"""Names that the program leaves to us, as the AWS plugin makes them up: the logical name and seven digits.

The digits follow from what is asked for, so that an `up` that was killed meets its own resource again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.properties import DEFAULTS
from infra.rehearsal.provider.row import Row

DIGITS = 7


def with_name(row: Row, urn: str, new: Mapping[str, Any], old: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the inputs with a name in them.

    Args:
        row: the type.
        urn: of the resource; its logical name begins the name.
        new: inputs of the program.
        old: inputs of the last time; None: it is new, or made anew.
    """
    inputs = dict(new)
    if not row.named or row.named in new:
        return inputs
    inputs[DEFAULTS] = [row.named]
    if old and row.named in old.get(DEFAULTS, []) and old.get("namePrefix") == new.get("namePrefix"):
        inputs[row.named] = old[row.named]
        return inputs
    beginning = str(new.get("namePrefix") or f"{urn.rpartition('::')[2]}-")
    text = json.dumps([urn, new], sort_keys=True, default=str)
    digits = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
    inputs[row.named] = beginning[: row.name_limit - DIGITS] + digits
    return inputs
