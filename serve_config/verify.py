"""Is this release what was signed? Asked before anything of it is loaded.

The formats are written by `model_code/release.py`: a signed pointer names the version, a signed statement names the
SHA-256 of its manifest, the manifest names the SHA-256 of every file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from serve_config import store
from serve_config.contents import archive_version, check_fields, check_model, parse_object
from serve_config.errors import InputError, ServeFailedError

SERVED_FILES = ("model.mar", "model.json", "report.json")
"""What a serving node needs of a release; the rest (weights for training, the card) is not fetched."""
VERSION = re.compile(r"[0-9a-f]{16}")
"""A release's version, which becomes a path."""


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """Which version is to be served, as signed."""

    name: str
    """The model's name."""
    version: str
    """The version to serve."""
    counter: int
    """Rises with every change; a lower one than was seen before is refused."""
    previous: tuple[str, ...] = ()
    """Versions served before, the latest first."""
    percentage: int = 100
    """Share of the nodes that follow, 1 to 100: below 100 a rollout is open."""
    etag: str = ""
    """The store's tag of the object that it was read from; no part of what was signed."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """A verified release on the local disk."""

    name: str
    """The model's name."""
    version: str
    """First 16 hexadecimal digits of the SHA-256 over the canonical list of its files."""
    archive: Path
    """The .mar."""
    archive_version: str
    """The version that the archive's own manifest names; TorchServe knows the model by it."""
    model: dict[str, Any]
    """Content of model.json."""
    worker_bytes: int = 0
    """Memory that one worker was measured to need, as the gate reports it; 0: the report does not say."""


def load_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """Return the key that releases are checked with.

    Raises:
        InputError: the file is missing or holds no ECDSA P-256 public key.
    """
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            f"--public-key must be a PEM file, `{path}` is not ({error}); name the .pub.pem"
        ) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise InputError(
            f"--public-key must be ECDSA P-256, `{path}` is not; name the releases' signing.pub.pem"
        )
    return key


def read_pointer(
    models: str,
    name: str,
    key: ec.EllipticCurvePublicKey,
    least_counter: int,
    known: Pointer | None = None,
) -> Pointer:
    """Return a model's signed pointer; the known one itself where it has not been changed since.

    Raises:
        InputError: the store has no such model.
        ServeFailedError: not signed by the key, about another model, or older than one seen before.
        StoreAwayError: the store does not answer.
    """
    uri = store.join(models, name, "current.json")
    try:
        changed = store.read_changed(uri, known.etag if known else "")
    except FileNotFoundError:
        raise InputError(
            f"--name `{name}` has no release in {models}; publish one with `skylift release`"
        ) from None
    if changed is None and known:
        return known
    content, etag = changed or (b"", "")
    found = _signed_part(parse_object(content, uri), "pointer", key, uri)
    fields = {"name": str, "version": str, "counter": int, "previous": list, "percentage": int}
    check_fields(found, fields, uri)
    pointer = Pointer(
        name=found["name"],
        version=found["version"],
        counter=found["counter"],
        previous=tuple(found["previous"]),
        percentage=found["percentage"],
        etag=etag,
    )
    for version in (pointer.version, *pointer.previous):
        if not isinstance(version, str) or not VERSION.fullmatch(version):
            raise ServeFailedError(f"{uri} names the version `{version}`, which is none; publish it again")
    if pointer.name != name:
        raise ServeFailedError(f"{uri} is about `{pointer.name}`, not `{name}`; somebody moved it there")
    if pointer.counter < least_counter:
        raise ServeFailedError(
            f"{uri} has counter {pointer.counter}, {least_counter} was seen before; an old pointer was put back",
            reason="pointer",
        )
    return pointer


def fetch_release(models: str, pointer: Pointer, key: ec.EllipticCurvePublicKey, folder: Path) -> Release:
    """Fetch a release's files into a new folder and return it once everything about it is proven.

    Raises:
        ServeFailedError: a file is missing, a signature or a SHA-256 does not fit, or the gate did not pass it.
    """
    uri = store.join(models, pointer.name, pointer.version)
    try:
        manifest = store.read(store.join(uri, "manifest.json"))
        signed = parse_object(store.read(store.join(uri, "manifest.sig")), uri)
        _check_statement(_signed_part(signed, "statement", key, uri), pointer, manifest, uri)
        files = _listed_files(parse_object(manifest, uri), pointer, uri)
        folder.mkdir()
        for name in SERVED_FILES:
            store.fetch(store.join(uri, name), folder / name)
            _check_file(folder / name, files[name], uri)
    except FileNotFoundError as error:
        raise ServeFailedError(f"release is not complete: {error} is missing; publish it again") from None
    report = parse_object((folder / "report.json").read_bytes(), f"{uri}/report.json")
    if report.get("passed") is not True or not report.get("chosen"):
        raise ServeFailedError(f"{uri} did not pass the compression gate; see its report.html", reason="gate")
    if report.get("mar_sha256") != files["model.mar"]["sha256"]:
        raise ServeFailedError(f"{uri} has a report about another archive; publish the release again")
    model = parse_object((folder / "model.json").read_bytes(), f"{uri}/model.json")
    check_model(model, f"{uri}/model.json")
    return Release(
        name=pointer.name,
        version=pointer.version,
        archive=folder / "model.mar",
        archive_version=archive_version(folder / "model.mar", pointer.name),
        model=model,
        worker_bytes=_worker_bytes(report),
    )


def canonical(value: object) -> bytes:
    """Return JSON with one spelling: what is hashed and signed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _worker_bytes(report: dict[str, Any]) -> int:
    """Return the peak of the process in which the gate measured the archive, 0 where the report has none."""
    measured = [c for c in report.get("candidates", ()) if c.get("name") == report["chosen"]]
    return int(measured[0].get("peak_memory_bytes", 0)) if measured else 0


def _check_statement(statement: dict[str, Any], pointer: Pointer, manifest: bytes, uri: str) -> None:
    expected = {"name": pointer.name, "version": pointer.version}
    expected["manifest_sha256"] = hashlib.sha256(manifest).hexdigest()
    for field, value in expected.items():
        if statement.get(field) != value:
            found = statement.get(field)
            raise ServeFailedError(
                f"{uri} was signed with {field} `{found}`, found `{value}`", reason="changed"
            )


def _listed_files(manifest: dict[str, Any], pointer: Pointer, uri: str) -> dict[str, dict[str, Any]]:
    check_fields(manifest, {"files": dict}, uri)
    files: dict[str, dict[str, Any]] = manifest["files"]
    if hashlib.sha256(canonical(files)).hexdigest()[:16] != pointer.version:
        raise ServeFailedError(f"{uri} lists files of another version; publish the release again")
    if missing := [name for name in SERVED_FILES if name not in files]:
        raise ServeFailedError(f"{uri} does not list {', '.join(missing)}; publish the release again")
    for name in SERVED_FILES:
        check_fields(files[name], {"sha256": str}, f"{uri}: {name}")
    return files


def _check_file(path: Path, listed: dict[str, Any], uri: str) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != listed["sha256"]:
        raise ServeFailedError(
            f"{uri}/{path.name} has SHA-256 {digest[:12]}…, signed was {listed['sha256'][:12]}…",
            reason="changed",
        )


def _signed_part(
    signed: dict[str, Any], part: str, key: ec.EllipticCurvePublicKey, uri: str
) -> dict[str, Any]:
    try:
        value: dict[str, Any] = signed[part]
        signature = base64.b64decode(signed["signature"], validate=True)
        key.verify(signature, canonical(value), ec.ECDSA(hashes.SHA256()))
        if not isinstance(value, dict):
            raise TypeError
    except (InvalidSignature, KeyError, TypeError, ValueError):  # no base64 is no signature either
        message = f"{uri} is not signed by the given key ({part}); do not serve it"
        raise ServeFailedError(message, reason="signature") from None
    return value
