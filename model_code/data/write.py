"""Turn a source into a data set of shards: `python -m model_code.data.write --source SOURCE --out URI`.

    source:  digits | images:DIR | text:FILE | tokens:FILE     (DIR and FILE: a path or file://, FILE also s3://)
    result:  <out>/<dataset>/<version>/index.json, shards, tokenizer.json; one JSON object on stdout

The version is a hash of the source's content and the options: a data set that is there already is not written again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from model_code import store
from model_code.data.index import (
    FORMAT,
    INDEX_FILE,
    TOKENIZER_FILE,
    DataIndex,
    Shard,
    Split,
    load_index,
    to_json,
)
from model_code.data.options import SourceOptions, parse_source, parse_words
from model_code.data.shards import encode, row_bytes, select
from model_code.data.source import Part, Samples, progress, shorten
from model_code.errors import InputError, exit_on_sigterm, run_stage

SHARD_BYTES = 16 << 20
"""Size of a shard's columns in memory, at most (16 MiB) unless a single sample is larger."""


@dataclass(frozen=True)
class _Opened:
    """A source that was looked at and not yet read."""

    name: str
    fingerprint: str
    load: Callable[[], Samples]


def main(words: list[str]) -> None:
    """Prepare the data set that the command line names and print what became of it."""
    started = time.monotonic()
    source, out, options = parse_words(words)
    with exit_on_sigterm():
        index = prepare(source, out, options)
    result = {
        "uri": data_uri(out, index),
        "dataset": index.dataset,
        "version": index.version,
        "kind": index.kind,
        "samples": {name: split.samples for name, split in index.splits.items()},
        "classes": list(index.classes),
        "bytes": index.bytes,
        "raw_bytes": index.raw_bytes,
        "skipped": list(index.skipped),
        "seconds": round(time.monotonic() - started, 2),
    }
    print(json.dumps(result, ensure_ascii=False), flush=True)  # noqa: T201 - the stage's result


def prepare(source: str, out_uri: str, options: SourceOptions | None = None) -> DataIndex:
    """Write the data set of a source below a URI, unless it is there, and return its index.

    Raises:
        InputError: the source does not exist or breaks a rule; nothing is left that a reader would take for a data set.
    """
    options = options or SourceOptions()
    kind, place = parse_source(source)
    with _local(kind, place) as path:
        if kind == "images":
            _check_apart(path, out_uri)
        opened = _open(kind, path, options)
        version = _version(kind, opened.fingerprint, options)
        uri = store.join(out_uri, opened.name, version)
        if store.exists(store.join(uri, INDEX_FILE)):
            return load_index(uri)
        samples = opened.load()
        splits = {name: _write_split(uri, name, part) for name, part in samples.parts.items()}
        if samples.tokenizer:
            store.write(store.join(uri, TOKENIZER_FILE), samples.tokenizer)
        index = _index(samples, opened.name, version, splits)
        store.write(store.join(uri, INDEX_FILE), to_json(index).encode())
        return index


def data_uri(out_uri: str, index: DataIndex) -> str:
    """Return the URI of a data set that `prepare` wrote below another one."""
    return store.as_uri(store.join(out_uri, index.dataset, index.version))


@contextmanager
def _local(kind: str, place: str) -> Iterator[Path]:
    """Give the source as a local path; a remote file is fetched for the time being."""
    path = store.local_path(place)
    if path is not None:
        if kind != "digits" and not path.exists():
            raise InputError(f"--source {kind}: must exist, not found: `{place}`; give the right path")
        yield path
        return
    uri = store.as_uri(place)
    if kind == "images":
        raise InputError(
            f"--source images: must be a local folder, got `{uri}`; fetch it: aws s3 sync {uri} FOLDER"
        )
    with TemporaryDirectory(prefix="skylift-source-") as folder:
        path = Path(folder) / place.rsplit("/", 1)[-1]
        try:
            store.fetch(uri, path)
        except FileNotFoundError:
            raise InputError(f"--source {kind}: must exist, not found: `{uri}`; give the right URI") from None
        yield path


def _check_apart(source: Path, out_uri: str) -> None:
    """Refuse to write into the folder that is read: the next time, shards would be taken for a class."""
    out = store.local_path(out_uri)
    if out is not None and (out / _slug(source.name)).resolve().is_relative_to(source.resolve()):
        raise InputError(f"--out must lead elsewhere than into the source `{source}`, got `{out_uri}`")


def _open(kind: str, path: Path, options: SourceOptions) -> _Opened:
    # Each source imports what the others do without (scikit-learn takes a second).
    if kind == "digits":
        from model_code.data import digits

        return _Opened("digits", digits.fingerprint(), lambda: digits.load(options))
    if kind == "images":
        from model_code.data import folders, images

        folder = folders.look_through(path)
        return _Opened(
            _slug(path.name), images.fingerprint(folder), lambda: images.load(path, folder, options)
        )
    if not path.is_file():
        raise InputError(f"--source {kind}: must be a file, got the folder `{path}`; name a file in it")
    if kind == "text":
        from model_code.data import text

        return _Opened(_slug(path.stem), store.sha256_file(path), lambda: text.load(path, options))
    from model_code.data import tokens

    return _Opened(_slug(path.stem), store.sha256_file(path), lambda: tokens.load(path, options))


def _version(kind: str, fingerprint: str, options: SourceOptions) -> str:
    facts = {"format": FORMAT, "kind": kind, "source": fingerprint, "options": dataclasses.asdict(options)}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _write_split(uri: str, name: str, part: Part) -> Split:
    shards: list[Shard] = []
    ends = np.cumsum(row_bytes(part.columns)[part.rows])
    number_of = (ends - 1) // SHARD_BYTES
    cuts = np.flatnonzero(np.diff(number_of, prepend=-1))
    pieces = np.split(part.rows, cuts[1:])
    for number, rows in enumerate(progress(pieces, f"writing {name}", total=len(pieces))):
        content, shard = encode(select(part.columns, rows), f"{name}-{number:05d}.zst")
        store.write(store.join(uri, shard.file), content)
        shards.append(shard)
    return Split(samples=len(part.rows), shards=tuple(shards), text_bytes=part.text_bytes)


def _index(samples: Samples, name: str, version: str, splits: dict[str, Split]) -> DataIndex:
    return DataIndex(
        kind=samples.kind,
        dataset=name,
        version=version,
        classes=samples.classes,
        splits=splits,
        image=samples.image,
        text=samples.text,
        tokens=samples.tokens,
        skipped=shorten(samples.skipped),
    )


def _slug(name: str) -> str:
    """Return a name fit for a path and a URI; `data` where nothing is left of it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64] or "data"


if __name__ == "__main__":
    run_stage(main)
