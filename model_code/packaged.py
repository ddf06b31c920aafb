"""A packaged model, loaded as the server loads it: unpacked, on sys.path, `predictor` imported by its bare name.

Training nodes do not have the serving room's code; the archive carries what it needs.
"""

from __future__ import annotations

import importlib
import sys
import zipfile
from pathlib import Path
from typing import Any, Protocol, cast

from model_code.errors import InputError


class Predictor(Protocol):
    """What this room knows of the predictor in an archive."""

    def answer(self, requests: list[tuple[bytes, str]]) -> list[tuple[int, dict[str, Any]]]:
        """Return (HTTP status, JSON object) for every (body, content type), in order."""


def load_packaged(mar: Path, folder: Path, *, device: str = "cpu", threads: int = 1) -> Predictor:
    """Unpack an archive and return its predictor. Once a process: a second archive's code would not be imported.

    Args:
        mar: the archive, already trusted: its code runs here.
        folder: where to unpack; must outlive the predictor.
        device: `cpu` or `cuda`.
        threads: CPU threads for one inference.

    Raises:
        InputError: the archive is no zip, or another one was loaded in this process.
    """
    if "predictor" in sys.modules:
        raise InputError(
            "one archive a process: another one's predictor is imported already; start a new process"
        )
    try:
        with zipfile.ZipFile(mar) as archive:
            archive.extractall(folder)
    except zipfile.BadZipFile:
        raise InputError(f"archive must be a .mar (zip), `{mar}` is not; pack it again") from None
    sys.path.insert(0, str(folder))
    predictor = importlib.import_module("predictor").load(folder, device=device, threads=threads)
    return cast("Predictor", predictor)
