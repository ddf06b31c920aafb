"""Objects behind a URI: `file://` and `s3://` alike, with S3's conditional writes on both.

A plain path is a `file://` URI too. Writes are atomic (temporary name, then rename; or one PutObject).
`create` is S3's `If-None-Match: *`, `replace` its `If-Match`: on a local disk the same promises are kept by a
hard link and by a lock file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

import obstore
from obstore.exceptions import AlreadyExistsError, NotModifiedError, PreconditionError
from obstore.store import LocalStore, S3Store

from model_code.errors import InputError

if TYPE_CHECKING:
    from obstore import GetOptions

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
NO_TEXT = r"[\x00-\x1f\x7f\ud800-\udfff]"
NO_NAME = re.compile(NO_TEXT + r"|(?:^|/)\.\.?(?=/|$)|#\d+(?=/|$)")
"""What no object can be called: control characters, broken Unicode, the two names that mean folders, and the ending
of obstore's own unfinished files."""
LONGEST_NAME = 200
"""UTF-8 bytes of a name between two slashes: a disk takes 255, and an unfinished file has a longer name."""


class ConflictError(RuntimeError):
    """Somebody else created or replaced the object first: nothing was written."""


def join(uri: str, *parts: str) -> str:
    """Return the URI of something below another one, by its plain name: `file://` spells some characters as %XX."""
    names = [part.strip("/") for part in parts]
    if uri.startswith("file://"):
        names = [quote(name, errors="surrogatepass") for name in names]
    return "/".join([uri.rstrip("/"), *names])


def local_path(uri: str) -> Path | None:
    """Return the local path that a URI (or a plain path) stands for, None for a remote one.

    `?` and `#` are letters like others: what lies in a store has neither query nor fragment.

    Raises:
        InputError: a `file://` URI with a relative path (or a host's name, which is what it looks like).
    """
    scheme, rest = _parted(uri)
    if scheme == "file":
        if not rest.startswith("/"):
            raise InputError(f"uri must be file:///PATH, an absolute path, got `{uri}`; write file:///{rest}")
        path = Path(os.fsdecode(unquote_to_bytes(rest)))
    elif scheme:
        return None
    else:
        path = Path(uri).absolute()
    climbs = ".." in path.parts and not re.search(NO_TEXT, str(path))
    return Path(os.path.realpath(path)) if climbs else path


def as_uri(path_or_uri: str) -> str:
    """Return the URI of what may be a plain path.

    Raises:
        InputError: the scheme is neither `file` nor `s3`, or a character is none that a name may have.
    """
    path = local_path(path_or_uri)
    if path is not None:
        _checked(str(path), path_or_uri)
        return path.as_uri()
    scheme, slashes, rest = path_or_uri.partition("://")
    if scheme != "s3" or not slashes or not rest.partition("/")[0]:
        raise InputError(
            f"uri must start with file:// or s3://BUCKET, got `{path_or_uri}`; write a path or an s3:// URI"
        )
    return path_or_uri


def read(uri: str) -> bytes:
    """Return an object's bytes.

    Raises:
        FileNotFoundError: nothing is there.
    """
    return read_with_etag(uri)[0]


def read_with_etag(uri: str, options: GetOptions | None = None) -> tuple[bytes, str]:
    """Return an object's bytes and the tag that `replace` takes; `options` are for S3."""
    store, key = _open(uri, must_exist=True)
    try:
        answer = obstore.get(store, key, options=None if isinstance(store, LocalStore) else options)
        content = bytes(answer.bytes())
    except FileNotFoundError:
        raise FileNotFoundError(uri) from None
    etag = _local_etag(content) if isinstance(store, LocalStore) else str(answer.meta["e_tag"])
    return content, etag


def read_changed(uri: str, etag: str) -> tuple[bytes, str] | None:
    """Return an object's bytes and tag, None where the tag is still the known one; no tag is known where it is empty.

    Raises:
        FileNotFoundError: nothing is there.
    """
    try:
        content, found = read_with_etag(uri, {"if_none_match": etag} if etag else {})
    except NotModifiedError:
        return None
    return None if found == etag else (content, found)


def write(uri: str, content: bytes) -> None:
    """Write an object, whole or not at all, over whatever was there."""
    store, key = _open(uri, create=True)
    obstore.put(store, key, content)


def create(uri: str, content: bytes) -> None:
    """Write an object that must not exist yet.

    Raises:
        ConflictError: it exists.
    """
    store, key = _open(uri, create=True)
    try:
        obstore.put(store, key, content, mode="create", use_multipart=False)
    except (AlreadyExistsError, PreconditionError):
        raise ConflictError(f"{uri} exists") from None


def replace(uri: str, content: bytes, etag: str) -> None:
    """Write an object over the very version that `etag` names.

    Raises:
        ConflictError: the object has changed since, or is gone.
    """
    store, key = _open(uri)
    if isinstance(store, LocalStore):
        _replace_local(local_path(uri) or Path(), content, etag)
        return
    try:
        obstore.put(store, key, content, mode={"e_tag": etag}, use_multipart=False)
    except (PreconditionError, FileNotFoundError):
        raise ConflictError(f"{uri} was changed by somebody else") from None


def fetch(uri: str, path: Path) -> None:
    """Copy an object to a local file, which appears whole or not at all."""
    store, key = _open(uri, must_exist=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("wb") as file:
            for chunk in obstore.get(store, key).stream(min_chunk_size=1 << 20):
                file.write(chunk)
        partial.replace(path)
    except FileNotFoundError:
        raise FileNotFoundError(uri) from None
    finally:
        partial.unlink(missing_ok=True)


def upload(path: Path, uri: str) -> None:
    """Copy a local file to an object (in parts when it is large)."""
    store, key = _open(uri, create=True)
    obstore.put(store, key, path)


def delete(uri: str) -> None:
    """Delete an object; one that is not there is none to delete."""
    with suppress(FileNotFoundError):
        store, key = _open(uri, must_exist=True)
        obstore.delete(store, key)


def delete_folder(uri: str) -> None:
    """Delete all objects below a URI, and the folder on a disk; none there is fine."""
    path = local_path(uri)
    if path is not None:
        if path.is_dir():
            shutil.rmtree(path)
        return
    store, key = _open(join(uri, "x"))
    for page in obstore.list(store, prefix=key.removesuffix("x")):
        for meta in page:
            obstore.delete(store, meta["path"])


def sha256(uri: str) -> str:
    """Return an object's SHA-256 in hexadecimal, read piece by piece.

    Raises:
        FileNotFoundError: nothing is there.
    """
    store, key = _open(uri, must_exist=True)
    digest = hashlib.sha256()
    try:
        for chunk in obstore.get(store, key).stream(min_chunk_size=1 << 20):
            digest.update(chunk)
    except FileNotFoundError:
        raise FileNotFoundError(uri) from None
    return digest.hexdigest()


def exists(uri: str) -> bool:
    """Tell whether an object is there."""
    try:
        store, key = _open(uri, must_exist=True)
        obstore.head(store, key)
    except FileNotFoundError:
        return False
    return True


def names(uri: str) -> list[str]:
    """Return the sorted names directly below a URI: objects, and folders without their final slash.

    Names with a leading dot are left out: locks and partial files of our own.
    """
    store, key = _open(join(uri, "x"))
    prefix = key.removesuffix("x").rstrip("/")
    listed = obstore.list_with_delimiter(store, prefix=prefix or None)
    paths = [meta["path"] for meta in listed["objects"]] + [str(path) for path in listed["common_prefixes"]]
    found = sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in paths)
    return [name for name in found if not name.startswith(".")]


def tags(uri: str) -> dict[str, str]:
    """Return the names of the objects directly below a URI, each with a tag that changes when it is written again."""
    store, key = _open(join(uri, "x"))
    prefix = key.removesuffix("x").rstrip("/")
    listed = obstore.list_with_delimiter(store, prefix=prefix or None)["objects"]
    found = {meta["path"].rsplit("/", 1)[-1]: str(meta["e_tag"]) for meta in listed}
    return {name: found[name] for name in sorted(found) if not name.startswith(".")}


def sha256_file(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open(uri: str, *, create: bool = False, must_exist: bool = False) -> tuple[LocalStore | S3Store, str]:
    uri = as_uri(uri)
    path = local_path(uri)
    if path is not None:
        key = _checked(str(path), uri)
        if must_exist and not path.is_file():  # a folder, or something below a file: not there, as on S3
            raise FileNotFoundError(uri)
        if create and path.is_dir():
            raise InputError(f"uri must name a file, `{uri}` is a folder; choose another name")
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        return LocalStore(), key
    bucket, _, key = _parted(uri)[1].partition("/")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    # obstore reads region, keys, profile-less instance roles and the endpoint from the environment by itself.
    options = {"allow_http": True} if endpoint.startswith("http://") else {}
    return S3Store(bucket, client_options=options), _checked(key, uri)  # type: ignore[arg-type]


def _parted(uri: str) -> tuple[str, str]:
    """Return scheme and rest of a URI; no scheme for a plain path, whatever characters it has."""
    scheme, colon, rest = uri.partition(":")
    if not colon or not SCHEME.fullmatch(scheme):
        return "", uri
    return scheme.lower(), rest.removeprefix("//")


def _checked(key: str, uri: str) -> str:
    """Return a name that obstore takes; it would refuse another one in words of its own."""
    if max(len(name.encode(errors="replace")) for name in key.split("/")) > LONGEST_NAME:
        raise InputError(f"uri must have names of at most {LONGEST_NAME} bytes, got `{uri}`; shorten it")
    if found := NO_NAME.search(key):
        raise InputError(f"uri must not hold `{found[0]}`, got `{uri}`; choose another name")
    return key.strip("/")


def _local_etag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _replace_local(path: Path, content: bytes, etag: str) -> None:
    lock = path.with_name(f".{path.name}.lock")
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not path.exists() or _local_etag(path.read_bytes()) != etag:
            raise ConflictError(f"{path} was changed by somebody else")
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        partial.write_bytes(content)
        partial.replace(path)
