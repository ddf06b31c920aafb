"""Machines of the rehearsal, in a world of their own, as root and as whoever else runs the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.rehearsal.machines.namespaces import enter, hindrance

ROOT = Path(__file__).parents[2]


def test_machines_live_and_die_as_instances_do(tmp_path: Path) -> None:
    if reason := hindrance():
        pytest.skip(reason)
    words = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "inside")]
    done = subprocess.run(
        enter([sys.executable, "-m", "pytest", *words, "tests/rehearsal/inside_machines.py"]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
