"""Two trainers of one run, started at the same instant: the lease lets one through."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from tests.faults.fault import Fault, Seen
from tests.faults.watched import ENDS_WITHIN, command, recipe, started, trained

WAIT = """
    while not (HERE / "go").exists():
        time.sleep(0.05)
"""


def two_trainers(folder: Path) -> Seen:
    """Start two; the one that has the run waits with building its network until the other has ended."""
    name = recipe(folder, building=WAIT)
    words = command(name, folder / "runs", "--run-id", "run", ranks=1)
    trainers = [started(words), started(words)]
    try:
        deadline = time.monotonic() + ENDS_WITHIN
        while all(one.poll() is None for one in trainers):
            assert time.monotonic() < deadline, "none of the two ended"
            time.sleep(0.05)
        first, second = sorted(trainers, key=lambda one: one.poll() is None)
        _, said = first.communicate()
        assert first.returncode == 1, said
        assert re.search(
            rf"^error: run `.*/run` is being trained by host .*, pid {second.pid} since 20\S+; wait for it",
            said,
            re.MULTILINE,
        ), said
        (folder / "go").touch()
        out, said = second.communicate(timeout=ENDS_WITHIN)
        assert second.returncode == 0, said
    finally:
        for one in trainers:
            one.kill()
            one.communicate()
    alone = folder / "alone"
    undisturbed = trained(recipe(alone), ranks=1).result["model_sha256"]
    assert json.loads(out)["model_sha256"] == undisturbed
    return Seen(what="one trained, the other was told who does; weights bit-equal to an undisturbed run")


FAULTS = (
    Fault(
        name="two trainers of one run at once",
        promise="one trains, the other is told",
        inject=two_trainers,
        times=5,
    ),
)
