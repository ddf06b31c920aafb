"""Folders for what several tests of a process share; they go with it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path


def lasting_folder(prefix: str) -> Path:
    """Make a folder that is removed when this process ends.

    Args:
        prefix: how its name begins, after `skylift-`: who left it, should the process be killed.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"skylift-{prefix}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
