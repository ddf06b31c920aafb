"""Alarms and refreshes in a process of their own: after the Pulumi engine has run in one, they hang there.

Why is not known yet; alone they pass. Each file's tests are those of `inside_*.py`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", ["alarms", "refresh"])
def test_alarms_and_refreshes_behave_as_aws_says(name: str) -> None:
    """All tests of the file pass."""
    file = HERE / f"inside_scaling_{name}.py"
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", str(file)]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
