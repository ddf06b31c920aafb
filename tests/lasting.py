"""Folders for what several tests of a process share, or what it kills leaves behind; they go with it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path


def lasting_folder(prefix: str) -> Path:
    """Make a folder that is removed when this process ends.

    Args:
        prefix: how its name begins, after `skylift-`: who left it, should the process be killed.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"skylift-{prefix}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def temporary() -> str:
    """Return the TMPDIR of processes that tests kill: such a one cannot remove its temporary folders."""
    return str(lasting_folder("killed"))
