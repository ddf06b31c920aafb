"""Reading from `file://` and `s3://`, no more: a serving node writes nothing to a store."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

import obstore
from obstore.exceptions import BaseError, NotModifiedError
from obstore.store import LocalStore, S3Store

from serve_config.errors import InputError, ServeFailedError, StoreAwayError

NO_TEXT = r"[\x00-\x1f\x7f\ud800-\udfff]"
NO_NAME = re.compile(NO_TEXT + r"|(?:^|/)\.\.?(?=/|$)|#\d+(?=/|$)")
"""What no object can be called: control characters, broken Unicode, the two names that mean folders, and the ending
of obstore's own unfinished files."""
LONGEST_NAME = 200
"""UTF-8 bytes of a name between two slashes: a disk takes 255, and an unfinished file has a longer name."""
MOST_BYTES = 16 << 20
"""Largest pointer, manifest or signature that is read; they have a few kilobytes."""

RETRIES, RETRY_SECONDS = 3, 10
"""How often and how long a request is tried again before the store counts as away."""


def join(uri: str, *parts: str) -> str:
    """Return the URI of something below another one, by its plain name: `file://` spells some characters as %XX."""
    names = [quote(part, errors="surrogatepass") if uri.startswith("file://") else part for part in parts]
    return "/".join([uri.rstrip("/"), *names])


def read(uri: str) -> bytes:
    """Return an object's bytes.

    Raises:
        FileNotFoundError: nothing is there.
        ServeFailedError: it is larger than anything of its kind.
        StoreAwayError: the store does not answer.
    """
    store, key = _open(uri)
    with _told(uri):
        return _content(obstore.get(store, key), uri)


def read_changed(uri: str, etag: str) -> tuple[bytes, str] | None:
    """Return an object's bytes and tag, None where the tag is still the known one.

    Raises:
        FileNotFoundError: nothing is there.
        ServeFailedError: it is larger than anything of its kind.
        StoreAwayError: the store does not answer.
    """
    store, key = _open(uri)
    with _told(uri):
        try:
            answer = obstore.get(store, key, options={"if_none_match": etag} if etag else {})
            return _content(answer, uri), answer.meta["e_tag"] or ""
        except NotModifiedError:
            return None


def _content(answer: obstore.GetResult, uri: str) -> bytes:
    if answer.meta["size"] > MOST_BYTES:
        raise ServeFailedError(
            f"{uri} has {answer.meta['size']} bytes, at most {MOST_BYTES} are read; publish it again"
        )
    return bytes(answer.bytes())


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
    # Not urlparse: what lies in a store has neither query nor fragment, `?` and `#` are letters like others.
    scheme, colon, rest = uri.partition("://")
    if not colon or scheme == "file":
        path = Path(os.fsdecode(unquote_to_bytes(rest)) if colon else uri)
        if colon and not path.is_absolute():
            raise InputError(
                f"--models must be file:///PATH, an absolute path, got `{uri}`; write file:///{rest}"
            )
        text = str(path.absolute())
        return LocalStore(), _checked(text if re.search(NO_TEXT, text) else os.path.realpath(text), uri)
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise InputError(
            f"--models must start with file:// or s3://BUCKET, got `{uri}`; write a path or an s3:// URI"
        )
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    # obstore reads region, keys, instance role and endpoint from the environment by itself.
    plain = {"allow_http": True} if endpoint.startswith("http://") else {}
    store = S3Store(
        bucket,
        client_options=plain,  # type: ignore[arg-type]
        retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
    )
    return store, _checked(key, uri)


def _checked(key: str, uri: str) -> str:
    """Return a name that obstore takes; it would refuse another one in words of its own."""
    if max(len(name.encode(errors="replace")) for name in key.split("/")) > LONGEST_NAME:
        raise InputError(f"--models must have names of at most {LONGEST_NAME} bytes, got `{uri}`; shorten it")
    if found := NO_NAME.search(key):
        raise InputError(f"--models must not hold `{found[0]}`, got `{uri}`; choose another name")
    return key.strip("/")
