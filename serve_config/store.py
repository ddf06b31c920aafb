"""Reading from `file://` and `s3://`, no more: a serving node writes nothing to a store."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlparse

import obstore
from obstore.exceptions import BaseError, NotModifiedError
from obstore.store import LocalStore, S3Store

from serve_config.errors import InputError, StoreAwayError

RETRIES, RETRY_SECONDS = 3, 10
"""How often and how long a request is tried again before the store counts as away."""


def join(uri: str, *parts: str) -> str:
    """Return the URI of something below another one."""
    return "/".join([uri.rstrip("/"), *parts])


def read(uri: str) -> bytes:
    """Return an object's bytes.

    Raises:
        FileNotFoundError: nothing is there.
        StoreAwayError: the store does not answer.
    """
    store, key = _open(uri)
    with _told(uri):
        return bytes(obstore.get(store, key).bytes())


def read_changed(uri: str, etag: str) -> tuple[bytes, str] | None:
    """Return an object's bytes and tag, None where the tag is still the known one.

    Raises:
        FileNotFoundError: nothing is there.
        StoreAwayError: the store does not answer.
    """
    store, key = _open(uri)
    with _told(uri):
        try:
            answer = obstore.get(store, key, options={"if_none_match": etag} if etag else {})
            return bytes(answer.bytes()), answer.meta["e_tag"] or ""
        except NotModifiedError:
            return None


def fetch(uri: str, path: Path) -> None:
    """Copy an object to a local file.

    Raises:
        FileNotFoundError: nothing is there.
        StoreAwayError: the store does not answer.
    """
    store, key = _open(uri)
    with _told(uri):
        chunks = obstore.get(store, key).stream(min_chunk_size=1 << 20)
        with path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)


@contextlib.contextmanager
def _told(uri: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(uri) from None
    except BaseError as error:
        reason = str(error).partition("\n")[0]
        raise StoreAwayError(f"{uri} cannot be read now ({reason}); look at the store") from None


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
    plain = {"allow_http": True} if endpoint.startswith("http://") else {}
    store = S3Store(
        parsed.netloc,
        client_options=plain,  # type: ignore[arg-type]
        retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
    )
    return store, parsed.path.lstrip("/")
