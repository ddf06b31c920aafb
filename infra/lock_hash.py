"""Where the wheels of one uv.lock lie in the work bucket: nodes look there, `skylift wheels` writes there. Pure."""

from __future__ import annotations

import hashlib
from pathlib import Path


def lock_hash(root: Path) -> str:
    """Return the SHA-256 of a project's uv.lock.

    Args:
        root: the project's folder.
    """
    return hashlib.sha256((root / "uv.lock").read_bytes()).hexdigest()


def wheels_folder(lock: str) -> str:
    """Return the folder in the work bucket, without slashes at its ends.

    Args:
        lock: what `lock_hash` says.
    """
    return f"wheels/{lock}"
