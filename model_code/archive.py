"""The model archive (.mar) that TorchServe loads: a zip, made so that the same inputs give the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path

from model_code.errors import InputError

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Date of every entry: the zip format's first one. torch-model-archiver writes the clock's, twice."""

ALWAYS_PACKED = ("handler.py", "predictor.py")
"""The serving room's files that every archive carries; `packed.txt` there may name more."""


def pack_mar(*, name: str, artifact: Path, serve_files: Path, out: Path) -> str:
    """Pack an artifact folder and the serving code into a .mar and return its SHA-256.

    Args:
        name: the model's name at the inference API.
        artifact: flat folder with model.json, the weights and, where there is one, the tokenizer.
        serve_files: the serving room's folder, which holds handler.py, predictor.py and model-config.yaml.
        out: the archive; it appears whole or not at all.

    Raises:
        InputError: a file is missing, or two files would have one name in the archive.
    """
    files = _collect(artifact, serve_files)
    manifest = {
        "archiverVersion": "0.12.0",
        "model": {
            "configFile": "model-config.yaml",
            "handler": "handler.py",
            "modelName": name,
            "modelVersion": _content_version(files),
        },
        "runtime": "python",
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    with zipfile.ZipFile(partial, "w") as archive:
        _add(archive, "MAR-INF/MANIFEST.json", json.dumps(manifest, indent=2, sort_keys=True).encode())
        for file_name, path in sorted(files.items()):
            _add(archive, file_name, path.read_bytes())
    digest = _sha256(partial)
    partial.replace(out)
    return digest


def _collect(artifact: Path, serve_files: Path) -> dict[str, Path]:
    listed = serve_files / "packed.txt"
    more = tuple(listed.read_text().split()) if listed.exists() else ()
    code = {file: serve_files / file for file in (*ALWAYS_PACKED, "model-config.yaml", *more)}
    weights = {path.name: path for path in sorted(artifact.iterdir()) if path.is_file()}
    if "model.json" not in weights:
        raise InputError(
            f"artifact must hold a model.json, got {sorted(weights)} in {artifact}; export it first"
        )
    for file, path in code.items():
        if not path.is_file():
            raise InputError(
                f"serve files must hold `{file}`, not found in {serve_files}; name the serve_config folder"
            )
    if both := sorted(code.keys() & weights.keys()):
        raise InputError(
            f"artifact must not hold files named as the serving code's, got {both} in {artifact}"
        )
    return code | weights


def _content_version(files: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(f"{name} {_sha256(path)}\n".encode())
    return digest.hexdigest()[:12]


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100644 << 16
    entry.create_system = 3  # unix, whatever machine packs
    archive.writestr(entry, content, compresslevel=6)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
