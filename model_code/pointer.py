"""`current.json`: which version of a model is served. Signed, counted, and changed by compare-and-swap only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from model_code import store
from model_code.errors import InputError, RunFailedError
from model_code.signing import ALGORITHM, public_pem, sign, signed_part
from model_code.typed_json import build

KEPT_PREVIOUS = 10
"""Versions remembered behind the current one; older ones stay in the store, and can still be named."""


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """What `current.json` says."""

    name: str
    """The model's name."""
    version: str
    """The release that is served."""
    counter: int
    """Rises by one at every change, from 1; a node refuses a lower one than it has seen."""
    previous: tuple[str, ...] = ()
    """Versions served before, the latest first."""
    percentage: int = 100
    """Share of the nodes that follow, 1 to 100: below 100 a rollout is open."""


def pointer_uri(models: str, name: str) -> str:
    """Return where a model's pointer lies."""
    return store.join(models, name, "current.json")


def read_pointer(models: str, name: str, public: bytes) -> tuple[Pointer, str] | None:
    """Return a model's pointer and its etag, or None where no release was ever published.

    Raises:
        RunFailedError: the signature is not the key's: somebody else wrote the pointer, or it is another model's.
        InputError: signed, and not what this version writes.
    """
    try:
        content, etag = store.read_with_etag(pointer_uri(models, name))
    except FileNotFoundError:
        return None
    uri = pointer_uri(models, name)
    pointer: Pointer = build(Pointer, signed_part(content, "pointer", public, uri), uri)
    if pointer.name != name:
        raise RunFailedError(f"{uri} is about `{pointer.name}`, not `{name}`; somebody moved it there")
    return pointer, etag


def move_pointer(models: str, name: str, version: str, key: Path) -> Pointer:
    """Point at a version: a publication, or a rollback (a new pointer to an old version).

    Raises:
        RunFailedError: somebody else moved the pointer in between; nothing was changed.
    """
    found = read_pointer(models, name, public_pem(key))
    before, etag = found if found else (None, "")
    if before and before.version == version:
        return before
    past = (
        (before.version, *(v for v in before.previous if v not in (version, before.version)))
        if before
        else ()
    )
    after = Pointer(
        name=name, version=version, counter=before.counter + 1 if before else 1, previous=past[:KEPT_PREVIOUS]
    )
    fields = json.loads(json.dumps(asdict(after)))
    content = json.dumps(
        {"algorithm": ALGORITHM, "pointer": fields, "signature": sign(fields, key)}, indent=2
    ).encode()
    uri = pointer_uri(models, name)
    try:
        store.replace(uri, content, etag) if before else store.create(uri, content)
    except store.ConflictError:
        raise RunFailedError(
            f"another publisher moved {uri} first; look at `skylift releases`, then try again"
        ) from None
    return after


def rollback_target(pointer: Pointer | None, name: str, wanted: str) -> str:
    """Return the version that a rollback goes to: the wanted one, else the one before.

    Raises:
        InputError: there is no version before.
    """
    if wanted:
        return wanted
    if pointer is None or not pointer.previous:
        raise InputError(
            f"`{name}` has no earlier release to go back to; see `skylift releases --name {name}`"
        )
    return pointer.previous[0]
