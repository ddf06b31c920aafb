"""A packaged model, loaded as the server loads it: unpacked, on sys.path, `predictor` imported by its bare name.

Training nodes do not have the serving room's code; the archive carries what it needs.
"""

from __future__ import annotations

import importlib
import lzma
import shutil
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any, Protocol, cast

from model_code.errors import InputError


class Predictor(Protocol):
    """What this room knows of the predictor in an archive."""

    def answer(self, requests: list[tuple[bytes, str]]) -> list[tuple[int, dict[str, Any]]]:
        """Return (HTTP status, JSON object) for every (body, content type), in order."""


BROKEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(ValueError, NotImplementedError, RuntimeError, OverflowError),
)
"""What zipfile raises on broken or hostile archives (RuntimeError: an encrypted one)."""


def load_packaged(mar: Path, folder: Path, *, device: str = "cpu", threads: int = 1) -> Predictor:
    """Unpack an archive and return its predictor. Once a process: a second archive's code would not be imported.

    Args:
        mar: the archive, already trusted: its code runs here.
        folder: where to unpack; must outlive the predictor.
        device: `cpu` or `cuda`.
        threads: CPU threads for one inference.

    Raises:
        InputError: the archive is no zip or does not fit on the disk; nothing of it is left. Or another one was
            loaded in this process.
    """
    if "predictor" in sys.modules:
        raise InputError(
            "one archive a process: another one's predictor is imported already; start a new process"
        )
    try:
        _unpack(mar, folder)
    except BROKEN as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise InputError(f"archive must be a .mar (zip), `{mar}` is not ({error}); pack it again") from None
    sys.path.insert(0, str(folder))
    predictor = importlib.import_module("predictor").load(folder, device=device, threads=threads)
    return cast("Predictor", predictor)


def _unpack(mar: Path, folder: Path) -> None:
    """Unpack an archive whose every name stays in the folder and whose files fit on the disk."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(mar) as archive:
        free = shutil.disk_usage(folder).free
        if (size := sum(entry.file_size for entry in archive.infolist())) > free:
            raise ValueError(f"{size} bytes unpacked, the disk has {free}")
        for entry in archive.infolist():
            if not (folder / entry.filename).resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"a file called {entry.filename!r}")
        archive.extractall(folder)
