"""What a rehearsal is asked for: it crosses from the command line to the world as a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

STACK = "rehearsal"
"""Name of the stack that is put up; its settings are the file's of that name, changed by the plan."""
REGION = "eu-central-1"
"""Of that stack."""
SOURCE_BUCKET = "operators-own-data"
"""Bucket of the operator's, beside the stack, from which a training reads local data that was given."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One rehearsal."""

    engine: str
    """Path of the Pulumi CLI."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the stack beside those of its file, or instead of them, by full key."""
    source: str = ""
    """Local data that is uploaded as shards before the stack goes up, as `images:DIR`; empty: none."""
    shards: str = ""
    """Local folder of ready shards that is uploaded; empty: none."""
    faults: tuple[str, ...] = ()
    """Names of what is to go wrong."""
    keep: bool = False
    """Leave everything up at the end."""
    concurrency: int = 16
    """Requests in flight while the held-out set is sent."""

    def write(self, path: Path) -> None:
        """Write it to a file."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Return what `write` wrote."""
        found = json.loads(path.read_text())
        return cls(**{**found, "faults": tuple(found["faults"])})
