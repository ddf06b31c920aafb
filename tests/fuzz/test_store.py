"""An object is written, read and listed under whatever name it has, or refused: on a disk and on S3."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model_code import store
from model_code.errors import InputError
from serve_config import errors as serve
from serve_config import store as served
from tests.fuzz.strategies import MEGABYTES, costly, folder, refusal

names = st.one_of(
    st.text(st.characters(exclude_characters="/"), min_size=1, max_size=12),
    st.text("ab%#?&=+ :;@~.\\'\"|<>*[]{}^`éß漢😀", min_size=1, max_size=12),
    st.sampled_from(
        ["%2F", "%41", "a#b", "a?b=c", " ", "..", ".", "a#1", "x" * 300, "~", "-", "\ud800", "a\0b"]
    ),
)
SPELLINGS: dict[str, Callable[[Path], str]] = {
    "path": str,
    "file": lambda path: path.as_uri(),
    "slash": lambda path: f"{path}/",
    "dots": lambda path: f"{path}/below/../",
}
fresh = itertools.count()


def written_and_read(root: str, name: str, content: bytes) -> None:
    """Write an object, read it in every way there is, find it in the list."""
    uri = store.join(root, name)
    store.write(uri, content)
    assert store.read(uri) == content
    assert store.exists(uri)
    hidden = name.startswith(".")
    assert store.names(root) == ([] if hidden else [name])
    assert [store.read(store.join(root, one)) for one in store.names(root)] == ([] if hidden else [content])


@given(names, st.binary(max_size=40), st.sampled_from(sorted(SPELLINGS)))
@example("a#b", b"1", "file")
@example("a?b", b"1", "file")
@example("%41", b"1", "file")
@example("a#1", b"1", "path")
@example("..", b"1", "path")
@example("\ud800", b"1", "file")
@example("x" * 300, b"1", "path")
@example(MEGABYTES.replace("/", ""), b"1", "path")
def test_an_object_on_a_disk(name: str, content: bytes, spelling: str) -> None:
    """Every name that a disk takes; the same object from the serving room, by path and by URI."""
    with folder() as place:
        root = SPELLINGS[spelling](place / "in")
        if refusal(lambda: written_and_read(root, name, content), InputError) is not None:
            assert [path for path in place.rglob("*") if path.is_file()] == []
            return
        assert (place / "in" / name).read_bytes() == content
        assert {path.name for path in place.iterdir()} == {"in"}
        if served.join(root, name) == store.join(root, name):
            assert served.read(served.join(root, name)) == content
        store.fetch(store.join(root, name), place / "fetched")
        assert (place / "fetched").read_bytes() == content


@pytest.fixture
def empty_prefix(bucket: str) -> Callable[[], str]:
    """Return a prefix of a bucket that nothing lies below."""
    return lambda: f"{bucket}/{next(fresh)}"


@costly
@given(name=names, content=st.binary(max_size=40))
@example(name="a#b", content=b"1")
@example(name="a?b", content=b"1")
@example(name="%41", content=b"1")
@example(name="a+b c", content=b"1")
@example(name="..", content=b"1")
def test_an_object_in_a_bucket(empty_prefix: Callable[[], str], name: str, content: bytes) -> None:
    """The same names in a bucket."""
    root = empty_prefix()
    if refusal(lambda: written_and_read(root, name, content), InputError) is None:
        assert served.read(served.join(root, name)) == content
        _, etag = store.read_with_etag(store.join(root, name))
        store.replace(store.join(root, name), b"next", etag)
        assert store.read(store.join(root, name)) == b"next"
    else:
        assert store.names(root) == []


@given(
    st.text(max_size=30)
    | st.sampled_from(["//[", "s3://", "s3:///x", "file://host/x", "file:x", "http://x/y", "s3:x"])
)
@example("//[")
@example("s3://")
@example("file://host/x")
@example("\0")
@example(MEGABYTES + "://x")
def test_a_uri_is_one_or_refused(uri: str) -> None:
    """Any words: a URI of ours, unchanged when spelt again, or one line, in both rooms."""
    if not uri.startswith("s3://b"):
        for read, kind in ((store.read, InputError), (served.read, serve.InputError)):
            with contextlib.suppress(FileNotFoundError):
                assert refusal(lambda read=read: read(f"{uri}/none"), kind) is not None  # type: ignore[misc]
    if refusal(lambda: store.as_uri(uri), InputError) is None:
        assert store.as_uri(store.as_uri(uri)) == store.as_uri(uri)
        assert store.local_path(store.as_uri(uri)) == store.local_path(uri)


@given(st.binary(max_size=50), st.binary(max_size=50), st.binary(max_size=50))
def test_of_two_writers_one_is_told(first: bytes, second: bytes, third: bytes) -> None:
    """Create and replace, whatever the contents: the second gets a conflict, the object is one of them, whole."""
    with folder() as place:
        uri = str(place / "object")
        store.create(uri, first)
        assert refusal(lambda: store.create(uri, second), store.ConflictError) is not None
        assert store.read(uri) == first
        _, etag = store.read_with_etag(uri)
        store.replace(uri, second, etag)
        if first != second:
            assert refusal(lambda: store.replace(uri, third, etag), store.ConflictError) is not None
        assert store.read(uri) == second
        assert store.names(str(place)) == ["object"]


def test_a_local_etag_is_its_contents_hash(tmp_path: Path) -> None:
    """So that the same content is the same version, whoever wrote it."""
    store.write(str(tmp_path / "x"), b"1")
    assert store.read_with_etag(str(tmp_path / "x"))[1] == hashlib.sha256(b"1").hexdigest()
