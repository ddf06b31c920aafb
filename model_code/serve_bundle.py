"""The serving room's files, which are packed into the archive: fetched by their hash."""

from __future__ import annotations

import zipfile
from pathlib import Path

from model_code import store
from model_code.errors import InputError, RunFailedError

FOLDER = "serve_config"


def fetch_serve_files(uri: str, sha256: str, into: Path) -> Path:
    """Fetch the serving room's bundle and return the folder with `predictor.py` in it.

    Args:
        uri: of the zip.
        sha256: what it must hash to.
        into: a local folder.

    Raises:
        RunFailedError: it is missing, or another one.
        InputError: it holds no serving room.
    """
    bundle = into / "serve.zip"
    try:
        store.fetch(uri, bundle)
    except FileNotFoundError:
        raise RunFailedError(f"serve bundle `{uri}` is missing; run `pulumi up`, which uploads it") from None
    found = store.sha256_file(bundle)
    if found != sha256:
        raise RunFailedError(f"serve bundle `{uri}` has SHA-256 {found}, not {sha256}: nothing of it is used")
    with zipfile.ZipFile(bundle) as archive:  # extractall keeps every name below the folder
        archive.extractall(into)
    if not (into / FOLDER / "predictor.py").is_file():
        raise InputError(f"serve bundle must hold {FOLDER}/predictor.py, `{uri}` does not; run `pulumi up`")
    return into / FOLDER
