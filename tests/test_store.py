"""The store keeps the same promises on a disk and on (emulated) S3."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from model_code import store
from model_code.errors import InputError


@pytest.fixture(params=["file", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place to write, of both kinds."""
    if request.param == "file":
        return str(tmp_path / "store")
    bucket: str = request.getfixturevalue("bucket")
    return bucket


def test_what_is_written_is_read(root: str) -> None:
    """An object comes back as it was written, and a later write replaces it."""
    uri = store.join(root, "a", "b.txt")
    store.write(uri, b"one")
    store.write(uri, b"two")
    assert store.read(uri) == b"two"
    assert store.exists(uri)
    assert not store.exists(uri + "x")


def test_what_is_not_there_is_named(root: str) -> None:
    """Reading and fetching nothing raise FileNotFoundError."""
    with pytest.raises(FileNotFoundError):
        store.read(store.join(root, "none"))
    store.write(store.join(root, "file"), b"x")
    assert not store.exists(store.join(root, "file", "below"))
    with pytest.raises(FileNotFoundError):
        store.read(store.join(root, "file", "below"))
    with pytest.raises(FileNotFoundError):
        store.fetch(store.join(root, "none"), Path(root.removeprefix("s3://")) / "x")


def test_create_refuses_what_exists(root: str) -> None:
    """The second creator is told, and changes nothing."""
    uri = store.join(root, "once")
    store.create(uri, b"first")
    with pytest.raises(store.ConflictError):
        store.create(uri, b"second")
    assert store.read(uri) == b"first"


def test_replace_needs_the_version_that_was_read(root: str) -> None:
    """Compare-and-swap: the one who read an old version loses."""
    uri = store.join(root, "pointer")
    store.write(uri, b"1")
    _, etag = store.read_with_etag(uri)
    store.replace(uri, b"2", etag)
    with pytest.raises(store.ConflictError):
        store.replace(uri, b"3", etag)
    assert store.read(uri) == b"2"


def test_of_many_swappers_one_wins_each_round(root: str) -> None:
    """Eight threads add one to a counter by compare-and-swap: none is lost."""
    uri = store.join(root, "counter")
    store.write(uri, b"0")
    wins: list[int] = []

    def add_one() -> None:
        while True:
            content, etag = store.read_with_etag(uri)
            try:
                store.replace(uri, str(int(content) + 1).encode(), etag)
            except store.ConflictError:
                continue
            wins.append(1)
            return

    threads = [threading.Thread(target=add_one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (store.read(uri), len(wins)) == (b"8", 8)


def test_names_are_of_one_level(root: str) -> None:
    """Listing shows objects and folders directly below, sorted, nothing deeper."""
    for key in ("b.txt", "a/deep/x", "c/y"):
        store.write(store.join(root, key), b"x")
    assert store.names(root) == ["a", "b.txt", "c"]
    assert store.names(store.join(root, "a")) == ["deep"]
    assert store.names(store.join(root, "nothing")) == []


def test_files_travel_both_ways(root: str, tmp_path: Path) -> None:
    """A file of several parts is uploaded and fetched unchanged, and no partial file is left."""
    source, target = tmp_path / "source", tmp_path / "in" / "target"
    source.write_bytes(bytes(range(256)) * 50_000)
    store.upload(source, store.join(root, "big"))
    store.fetch(store.join(root, "big"), target)
    assert store.sha256_file(target) == store.sha256_file(source)
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_other_schemes_are_refused() -> None:
    """A URI that is neither file nor s3 is an input error that names it."""
    with pytest.raises(InputError, match=r"uri must start with file:// or s3://BUCKET, got `ftp://x/y`"):
        store.read("ftp://x/y")


def test_what_is_deleted_is_gone_and_its_neighbours_stay(root: str) -> None:
    """One object, or all below a folder's name (not those below a longer name); none there is fine."""
    for name in ("one/a", "one/below/b", "one/c", "one-more/a"):
        store.write(store.join(root, name), b"x")
    store.delete(store.join(root, "one", "c"))
    assert store.names(store.join(root, "one")) == ["a", "below"]
    store.delete_folder(store.join(root, "one"))
    assert store.names(root) == ["one-more"]
    store.delete(store.join(root, "one", "a"))
    store.delete_folder(store.join(root, "one"))
