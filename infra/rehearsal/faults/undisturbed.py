"""The same training without any harm, on this machine: same config, data, seed and number of processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.rehearsal.faults.fault import NotRecoveredError, Row

ROOT = Path(__file__).parents[3]
NAME = "undisturbed"
PROMISE = "final weights equal those of an undisturbed run"
COMPARED = ("model_sha256", "samples_digest", "metric", "best_step")
"""What is equal where all steps were."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is trained."""

    recipe: str
    """As in the stack."""
    words: tuple[str, ...]
    """Its overrides."""
    shards: str
    """URI of the data."""
    processes: int
    """Of the full group."""


def train(settings: Settings, folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what `trained.json` says of an undisturbed training.

    Args:
        settings: what is trained.
        folder: where its run is kept.
        environment: where AWS is, and as whom.

    Raises:
        NotRecoveredError: it fails.
    """
    count = str(settings.processes)
    words = [
        *("--recipe", settings.recipe, "--data", settings.shards, "--runs", str(folder)),
        *("--run-id", "undisturbed", "--full-world", count, *settings.words),
    ]
    launch = ["-m", "model_code.launch", "--standalone", "--nproc-per-node", count, "-m", "model_code.train"]
    # As on a node, which has its share of the cores: what is added up in another order has other last bits.
    threads = str(max(1, len(os.sched_getaffinity(0)) // settings.processes))
    done = subprocess.run(
        [sys.executable, *launch, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment, "OMP_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": ""},
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("error: ")] or ["no reason"]
        raise NotRecoveredError(f"the undisturbed training failed: {said[-1]}")
    found: dict[str, Any] = json.loads((folder / "undisturbed" / "trained.json").read_bytes())
    return found


def compared(found: Mapping[str, Any], expected: Mapping[str, Any], faults: int) -> Row:
    """Return the row that says whether all faults together left no trace. Pure.

    Args:
        found: what `trained.json` says of the disturbed run.
        expected: the same of the undisturbed one.
        faults: how many were done.
    """
    differ = [name for name in COMPARED if found.get(name) != expected.get(name)]
    said = f"{', '.join(differ)} differ" if differ else "weights, samples and metric equal bit by bit"
    model = str(found.get("model_sha256"))[:12]
    return _row(not differ, f"{found.get('steps')} steps; {said} (model {model})", faults)


def missing(why: str, faults: int) -> Row:
    """Return the row where there is nothing to compare with. Pure."""
    return _row(False, why, faults)


def _row(kept: bool, what: str, faults: int) -> Row:
    return Row(
        name=NAME,
        title=f"all {faults} of the training, one after the other",
        promise=PROMISE,
        kept=kept,
        what=what,
        recovery_seconds=None,
    )
