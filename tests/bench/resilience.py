"""What it costs to be hard to break: checkpoints, the comparison of replicas, batches that are kept by range."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench import batch_prediction


def measure() -> dict[str, Any]:
    """Return the figures of the three, each measured side by side with what it would be without."""
    return {
        "checkpoint": by_two_ranks("tests.bench.checkpoint_stall"),
        "replicas": by_two_ranks("tests.bench.replica_check"),
        "batch": batch_prediction.measure(),
    }


def by_two_ranks(module: str) -> dict[str, Any]:
    """Run a measurement on two processes and return what rank 0 printed."""
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", module]
    done = subprocess.run(
        [sys.executable, "-m", *torchrun],
        stdout=subprocess.PIPE,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result
