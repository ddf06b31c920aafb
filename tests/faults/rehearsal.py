"""What a whole deployment endures: nodes that vanish, hang and crawl, an AWS that refuses, releases that lie.

One rehearsal does all faults of the training, another one all of the serving; each fault is a row. The suite's own
rehearsal (`tests/rehearsal/test_rehearse.py`) does the quick ones.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache, partial
from pathlib import Path
from typing import Any

from infra.rehearsal.faults import FAULTS as ALL
from infra.rehearsal.faults import chosen
from infra.rehearsal.faults.undisturbed import NAME, PROMISE
from infra.rehearsal.story import read
from tests.faults.fault import Fault, Seen
from tests.lasting import lasting_folder

ROOT = Path(__file__).parents[2]
NAMESPACES = ("unshare", "--user", "--map-root-user", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork")
SERVING = tuple(one.name for one in chosen(ALL, "serving"))
TRAINING = tuple(name for name in ALL if name not in SERVING)


@cache
def rehearsed(names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Rehearse with some faults, and return what became of each, by name."""
    out = lasting_folder("faults")
    asked = [word for name in names for word in ("--fault", name)]
    skylift = Path(sys.executable).with_name("skylift")
    done = subprocess.run(
        [str(skylift), "rehearse", *asked, "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    events, _ = read(out / "events.jsonl")
    rows = [one.facts for one in events if one.kind == "fault" and one.facts.get("state") == "done"]
    assert rows, done.stderr
    return {row["name"]: row for row in rows}


def seen(name: str, _: Path) -> Seen:
    """Return what became of a fault, in the rehearsal that does it."""
    rows = rehearsed(SERVING if name in SERVING else TRAINING)
    assert name in rows, f"the rehearsal ended before it; it did {', '.join(rows)}"
    row = rows[name]
    assert row["kept"], row["seen"]
    return Seen(what=row["seen"], recovery_seconds=row["recovery_seconds"])


FAULTS = (
    *(
        Fault(
            name=one.title,
            promise=one.promise,
            inject=partial(seen, name),
            times=1,
            quick=one.quick,
            needs=(*NAMESPACES, "--"),
        )
        for name, one in ALL.items()
    ),
    Fault(
        name="all of these of the training, one after the other",
        promise=PROMISE,
        inject=partial(seen, NAME),
        times=1,
        quick=False,
        needs=(*NAMESPACES, "--"),
    ),
)
