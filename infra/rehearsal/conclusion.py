"""What came out, written for programs and for people."""

from __future__ import annotations

import json

from infra.rehearsal.folder import write_whole
from infra.rehearsal.rehearse import Findings
from infra.rehearsal.world import World


def conclude(world: World, findings: Findings, outcome: str) -> None:
    """Write the result."""
    figures = findings.asked.figures if findings.asked else None
    content = {
        "outcome": outcome,
        "serving": figures,
        "left": {k: sorted(v) for k, v in (findings.left or {}).items()},
        "denials": findings.denials,
        "changes": {k: sorted(v) for k, v in (findings.changes or {}).items()},
    }
    write_whole(world.files.result, json.dumps(content, indent=1).encode())
