"""A published version for those who run it: proven to be what was signed before anything of it is unpacked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from model_code import store
from model_code.errors import InputError, RunFailedError
from model_code.pointer import read_pointer
from model_code.signing import verified
from model_code.typed_json import parse


@dataclass(frozen=True, kw_only=True)
class Released:
    """A version whose manifest is signed."""

    name: str
    """The model's name."""
    version: str
    """16 hexadecimal digits."""
    uri: str
    """Folder of the version."""
    mar_sha256: str
    """SHA-256 that its archive must have."""


def find_release(uri: str, public_key: Path) -> Released:
    """Return the version in a folder, or the current one of a model's folder.

    Args:
        uri: `…/NAME/VERSION`, or `…/NAME` for the version that its pointer names.
        public_key: PEM of the key that must have signed pointer and statement.

    Raises:
        InputError: nothing is published there, or the key is none.
        RunFailedError: statement, manifest or pointer is not what was signed, or is about another version.
    """
    uri, public = store.as_uri(uri).rstrip("/"), _read_key(public_key)
    if store.exists(store.join(uri, "current.json")):
        models, _, name = uri.rpartition("/")
        found = read_pointer(models, name, public)
        uri = store.join(uri, found[0].version if found else "")
    models, name, version = uri.rsplit("/", 2)
    try:
        manifest = store.read(store.join(uri, "manifest.json"))
        signed = store.read(store.join(uri, "manifest.sig"))
    except FileNotFoundError:
        raise InputError(
            f"release must be a published version, none at `{uri}`; see `skylift releases`"
        ) from None
    try:
        parsed = parse(signed)
        statement, signature = parsed["statement"], parsed["signature"]
        expected = {"name": name, "version": version, "manifest_sha256": hashlib.sha256(manifest).hexdigest()}
        right = all(statement[field] == value for field, value in expected.items())
        if not right or not verified(statement, signature, public):
            raise RunFailedError(
                f"{uri} is not what was signed by the key in {public_key}; nothing of it was loaded"
            )
        digest: str = parse(manifest)["files"]["model.mar"]["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunFailedError(
            f"{uri} has no readable manifest and signature ({error!r}); publish it again"
        ) from None
    return Released(name=name, version=version, uri=uri, mar_sha256=digest)


def fetch_archive(release: Released, folder: Path) -> Path:
    """Fetch a release's archive and return its path once it is the one in the signed manifest.

    Raises:
        RunFailedError: it is missing, or another one.
    """
    mar = folder / "model.mar"
    uri = store.join(release.uri, "model.mar")
    try:
        store.fetch(uri, mar)
    except FileNotFoundError:
        raise RunFailedError(f"{uri} is missing; publish the release again") from None
    if store.sha256_file(mar) != release.mar_sha256:
        raise RunFailedError(f"{uri} is not the archive in its signed manifest; nothing of it was loaded")
    return mar


def _read_key(path: Path) -> bytes:
    try:
        public = path.read_bytes()
        verified({}, "", public)
    except (OSError, ValueError) as error:
        raise InputError(
            f"--public-key must be a PEM file with an ECDSA key, `{path}` is not ({error}); "
            "name the signing.pub.pem beside the releases' signing key"
        ) from None
    return public
