"""What the files of a release must hold, asked before anything in them is used: types, names, sizes."""

from __future__ import annotations

import base64
import json
import lzma
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from serve_config.errors import ServeFailedError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""An archive's own version, which becomes a path of TorchServe's API."""
MOST_LEVELS = 50
"""Deepest nesting of a file; they need a tenth of it."""
MOST_MANIFEST_BYTES = 1 << 20
"""Largest manifest within an archive; it has a few hundred bytes, and a zip can claim any size."""
BROKEN_ZIP = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, NotImplementedError, RuntimeError, OverflowError),
)
"""What zipfile raises on broken or hostile archives (RuntimeError: an encrypted one)."""


def parse_object(content: bytes, uri: str) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        ServeFailedError: no UTF-8, no JSON, no object, too many levels, or a key that comes twice.
    """
    try:
        parsed = json.loads(content.decode(), object_pairs_hook=_once)
        _check_levels(parsed)
    except (ValueError, RecursionError) as error:
        raise ServeFailedError(f"{uri} is not JSON ({error}); publish the release again") from None
    if not isinstance(parsed, dict):
        raise ServeFailedError(f"{uri} is not a JSON object; publish the release again")
    return parsed


def _check_levels(parsed: object) -> None:
    """Refuse what nests deeper than any file of a release: Python's own limit ends in another error, later."""
    layer = [parsed]
    for _ in range(MOST_LEVELS):
        layer = [inner for outer in layer if isinstance(outer, dict | list) for inner in _within(outer)]
    if layer:
        raise ValueError("too many levels")


def _within(outer: dict[str, Any] | list[Any]) -> list[Any]:
    return list(outer.values()) if isinstance(outer, dict) else outer


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that has a key twice: readers would differ on what it says."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice")
    return found


def check_fields(value: object, fields: dict[str, type], where: str) -> None:
    """Refuse what is no object, or lacks a field, or has it of another type.

    Raises:
        ServeFailedError: naming the first field.
    """
    if not isinstance(value, dict):
        raise ServeFailedError(f"{where} is not a JSON object; publish the release again")
    for name, kind in fields.items():
        if type(value.get(name)) is not kind:
            raise ServeFailedError(f"{where} has no {kind.__name__} `{name}`; publish the release again")


def archive_version(archive: Path, name: str) -> str:
    """Return the version that an archive's own manifest names.

    Raises:
        ServeFailedError: it is no archive, or of another model.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            facts = opened.getinfo("MAR-INF/MANIFEST.json")
            if facts.file_size > MOST_MANIFEST_BYTES:
                raise ValueError(f"a manifest of {facts.file_size} bytes")
            manifest = parse_object(opened.read(facts), archive.name)
    except (*BROKEN_ZIP, KeyError, ValueError) as error:
        raise ServeFailedError(f"{archive.name} is not a model archive ({error}); publish it again") from None
    check_fields(manifest, {"model": dict}, archive.name)
    check_fields(manifest["model"], {"modelName": str, "modelVersion": str}, archive.name)
    found, version = str(manifest["model"]["modelName"]), str(manifest["model"]["modelVersion"])
    if not NAME.fullmatch(version):
        raise ServeFailedError(f"{archive.name} has the version `{version}`, which is none; publish it again")
    if found != name:
        raise ServeFailedError(f"{archive.name} holds the model `{found}`, not `{name}`; publish it again")
    return version


def check_model(model: dict[str, Any], where: str) -> None:
    """Refuse a model.json that does not say what a node tells its clients, or has no golden requests.

    Raises:
        ServeFailedError: naming the first field.
    """
    check_fields(model, {"runtime": str, "task": str, "classes": list}, where)
    if not model.get("golden") or not isinstance(model["golden"], list):
        raise ServeFailedError(f"{where} has no golden inputs; compress and publish it again")
    for number, one in enumerate(model["golden"]):
        check_fields(one, {"content_type": str, "body": str, "answer": dict}, f"{where}: golden[{number}]")
        try:
            base64.b64decode(one["body"], validate=True)
        except ValueError:
            raise ServeFailedError(f"{where}: golden[{number}].body is no base64; compress again") from None
    if model.get("image") is not None:
        check_fields(model["image"], {"channels": int, "height": int, "width": int}, f"{where}: image")
