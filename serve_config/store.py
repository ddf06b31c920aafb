"""Reading from `file://` and `s3://`, no more: a serving node writes nothing to a store."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlparse

import obstore
from obstore.store import LocalStore, S3Store

from serve_config.errors import InputError


def join(uri: str, *parts: str) -> str:
    """Return the URI of something below another one."""
    return "/".join([uri.rstrip("/"), *parts])


def read(uri: str) -> bytes:
    """Return an object's bytes.

    Raises:
        FileNotFoundError: nothing is there.
    """
    store, key = _open(uri)
    try:
        return bytes(obstore.get(store, key).bytes())
    except FileNotFoundError:
        raise FileNotFoundError(uri) from None


def fetch(uri: str, path: Path) -> None:
    """Copy an object to a local file.

    Raises:
        FileNotFoundError: nothing is there.
    """
    store, key = _open(uri)
    try:
        with path.open("wb") as file:
            for chunk in obstore.get(store, key).stream(min_chunk_size=1 << 20):
                file.write(chunk)
    except FileNotFoundError:
        path.unlink()
        raise FileNotFoundError(uri) from None


def _open(uri: str) -> tuple[LocalStore | S3Store, str]:
    parsed = urlparse(uri)
    if parsed.scheme in ("", "file"):
        path = Path(unquote(parsed.path)) if parsed.scheme else Path(uri).absolute()
        return LocalStore(), str(path).lstrip("/")
    if parsed.scheme != "s3":
        raise InputError(
            f"--models must start with file:// or s3://, got `{uri}`; write a path or an s3:// URI"
        )
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    # obstore reads region, keys, instance role and endpoint from the environment by itself.
    store = (
        S3Store(parsed.netloc, client_options={"allow_http": True})
        if endpoint.startswith("http://")
        else S3Store(parsed.netloc)
    )
    return store, parsed.path.lstrip("/")
