"""The properties of every parser, with many examples: `tests/fuzz/` under `SKYLIFT_FUZZ=deep`, each group a row."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.faults.fault import Fault, Seen

ROOT = Path(__file__).parents[2]
PASSING = re.compile(r"(\d+)\s+passing(?:\s+examples)?,\s+(\d+)\s+failing")
GROUPS = {
    "test_index.py": ("indexes and shards", "read as written, or refused by name"),
    "test_config.py": ("configs, settings, recipes", "read as written, or refused by name"),
    "test_words.py": ("command lines", "in range, or refused in one line"),
    "test_release.py": (
        "reports, manifests, statements, pointers",
        "altered is never accepted, in either room",
    ),
    "test_archive.py": ("archives", "unpacked whole or not at all, never outside"),
    "test_tables.py": ("tables and texts", "samples, or refused by line"),
    "test_tokens.py": ("texts as tokens", "every byte comes back"),
    "test_pictures.py": ("pictures and folders", "pixels alike in both rooms, or a reason"),
    "test_store.py": ("names in stores", "the bytes come back under the name"),
    "test_requests.py": ("requests, golden answers, state, metrics", "taken for what it is, or one line"),
    "test_checkpoints.py": ("damaged checkpoints", "the newest intact one, never a wrong tensor"),
}
"""File -> what is parsed, and what is promised of it."""


def examined(file: str) -> Callable[[Path], Seen]:
    """Return the injection that runs a file's properties with many examples, other ones each time."""

    def inject(_: Path) -> Seen:
        words = ["-q", "-p", "no:cacheprovider", "--hypothesis-show-statistics", "--timeout", "3600"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words, str(ROOT / "tests" / "fuzz" / file)],
            cwd=ROOT,
            env=os.environ | {"SKYLIFT_FUZZ": "deep"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:]
        counted = [tuple(map(int, found)) for found in PASSING.findall(done.stdout)]
        assert counted, f"no examples were counted: {done.stdout[-500:]}"
        assert not sum(failed for _, failed in counted)
        return Seen(what=f"{sum(passed for passed, _ in counted):,} examples of {len(counted)} properties")

    return inject


FAULTS = tuple(
    Fault(name=f"fuzz of {what}", promise=promise, inject=examined(file), times=1, quick=False)
    for file, (what, promise) in GROUPS.items()
)
