"""The end of a batch job: its parts, in input order, become one object, and a record beside it says of what."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from model_code import store
from model_code.parts import Part, written


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What lies at `<out>`; written beside it as `<out>.job.json` once it is whole."""

    job: str
    """The job's key, see `predict.py`."""
    release: str
    """Version that answered."""
    data: str
    """Version of the data set."""
    split: str
    """Its part that was answered."""
    samples: int
    """Lines of the output."""
    correct: int | None
    """Answers equal to the truth; None for language models."""
    sha256: str
    """Of the output."""


def gather(out: str, parts: Iterable[Part], facts: Callable[[int, int, str], Gathered]) -> Gathered:
    """Write the parts one after the other to `out`, whole or not at all, and then the record.

    Args:
        out: URI of the output.
        parts: in input order; one at a time is in memory.
        facts: makes the record of samples, correct answers and SHA-256.

    Raises:
        RunFailedError: there is no room for it; what was there before is still there.
    """
    samples = correct = 0
    digest = hashlib.sha256()
    with written(out):
        with _object(out) as file:
            for part in parts:
                file.write(part.lines)
                digest.update(part.lines)
                samples, correct = samples + part.samples, correct + part.correct
        gathered = facts(samples, correct, digest.hexdigest())
        store.write(record_uri(out), json.dumps(asdict(gathered), indent=1).encode())
    return gathered


def find_gathered(out: str, job: str, say: Callable[[str], None]) -> Gathered | None:
    """Return the record of a job that is done, its output still byte for byte what was written; else None."""
    try:
        gathered = Gathered(**json.loads(store.read(record_uri(out))))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if gathered.job != job:
        return None
    try:
        if store.sha256(out) == gathered.sha256:
            return gathered
        say(f"`{out}` was altered since this job wrote it; it is made again")
    except FileNotFoundError:
        say(f"`{out}` was removed since this job wrote it; it is made again")
    return None


def record_uri(out: str) -> str:
    """Return where the record of an output lies."""
    return f"{out}.job.json"


@contextmanager
def _object(uri: str) -> Iterator[BinaryIO]:
    """Give a file to write; it becomes the object when the block ends well, by one rename or one upload."""
    path = store.local_path(uri)
    if path is None:
        with tempfile.NamedTemporaryFile(prefix="skylift-predict-") as file:
            yield file  # type: ignore[misc] # a BinaryIO but for its class
            file.flush()
            store.upload(Path(file.name), uri)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as local:
            yield local
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
