"""`current.json`: which version of a model is served. Signed, counted, and changed by compare-and-swap only."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from model_code import store
from model_code.errors import InputError, RunFailedError
from model_code.kms_key import ALGORITHM
from model_code.signing import SigningKey, public_pem, sign, signed_part
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


def move_pointer(
    models: str, name: str, version: str, key: SigningKey, percentage: int | None = None
) -> Pointer:
    """Point at a published version, on all nodes or on a share of them.

    Raises:
        InputError: there is no release that the other nodes could keep.
        RunFailedError: a rollout of another release is open, or somebody else moved the pointer in between; nothing
            was changed.
    """
    return _swap(models, name, key, lambda before: published(before, name, version, percentage))


def promote(models: str, name: str, key: SigningKey) -> Pointer:
    """Give the release of the open rollout to all nodes.

    Raises:
        InputError: no rollout is open.
        RunFailedError: somebody else moved the pointer in between; nothing was changed.
    """
    return _swap(models, name, key, lambda before: promoted(before, name))


def abort(models: str, name: str, key: SigningKey) -> Pointer:
    """Close the open rollout: all nodes serve the release before it.

    Raises:
        InputError: no rollout is open.
        RunFailedError: somebody else moved the pointer in between; nothing was changed.
    """
    return _swap(models, name, key, lambda before: aborted(before, name))


def move_back(models: str, name: str, version: str, key: SigningKey) -> Pointer:
    """Point all nodes at an earlier version: a new pointer to an old version. An open rollout ends with it.

    Raises:
        RunFailedError: somebody else moved the pointer in between; nothing was changed.
    """
    return _swap(models, name, key, lambda before: rolled_back(before, name, version))


def published(before: Pointer | None, name: str, version: str, percentage: int | None) -> Pointer:
    """Return the pointer after a publication.

    Args:
        before: the one that it follows.
        name: the model's name.
        version: what was published.
        percentage: share of the nodes; None: all of them, or what it is where this release is pointed at already.
    """
    if before is None:
        if percentage not in (None, 100):
            raise InputError(
                f"--percentage must be 100 for the first release of `{name}`, got {percentage}: the other nodes have "
                "none to keep; leave it out"
            )
        return Pointer(name=name, version=version, counter=1)
    if before.version == version:
        wanted = before.percentage if percentage is None else percentage
        if wanted < 100 and not before.previous:
            raise InputError(
                f"--percentage must be 100, got {percentage}: `{name}` has no earlier release that the other nodes "
                "could serve; leave it out"
            )
        return _after(before, version, before.previous, wanted)
    if before.percentage < 100:
        raise RunFailedError(
            f"`{name}` has an open rollout of {before.version} to {before.percentage} % of the nodes; end it first: "
            f"`skylift promote --name {name}` or `skylift abort --name {name}`"
        )
    return _after(before, version, (before.version, *before.previous), percentage or 100)


def promoted(before: Pointer | None, name: str) -> Pointer:
    """Return the pointer after a promotion."""
    found = _open_rollout(before, name, "promote")
    return _after(found, found.version, found.previous, 100)


def aborted(before: Pointer | None, name: str) -> Pointer:
    """Return the pointer after an abortion. The aborted release is none that a rollback would go back to."""
    found = _open_rollout(before, name, "abort")
    return _after(found, found.previous[0], found.previous[1:], 100)


def rolled_back(before: Pointer | None, name: str, version: str) -> Pointer:
    """Return the pointer after a rollback. What an open rollout was about is forgotten, as by `aborted`."""
    if before is None:
        raise InputError(f"`{name}` has no release; publish one with `skylift release`")
    if before.percentage == 100:
        return _after(before, version, (before.version, *before.previous), 100)
    if version == before.version:
        raise InputError(
            f"--version must be an earlier release, `{version}` is being rolled out; "
            f"write `skylift promote --name {name}`"
        )
    return _after(before, version, before.previous, 100)


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


def shares(pointer: Pointer | None) -> dict[str, int]:
    """Return what share of the nodes serves which version, in per cent: two of them while a rollout is open."""
    if pointer is None:
        return {}
    if pointer.percentage == 100 or not pointer.previous:
        return {pointer.version: 100}
    return {pointer.version: pointer.percentage, pointer.previous[0]: 100 - pointer.percentage}


def _open_rollout(before: Pointer | None, name: str, verb: str) -> Pointer:
    if before is None or before.percentage == 100 or not before.previous:
        raise InputError(
            f"`{name}` must have an open rollout to {verb}, it has none; see `skylift releases --name {name}`"
        )
    return before


def _after(before: Pointer, version: str, past: Sequence[str], percentage: int) -> Pointer:
    """Return the next pointer, or the same where it would say the same."""
    if (version, percentage) == (before.version, before.percentage):
        return before
    previous = tuple(dict.fromkeys(old for old in past if old != version))[:KEPT_PREVIOUS]
    return replace(
        before,
        version=version,
        counter=before.counter + 1,
        previous=previous,
        percentage=percentage,
    )


def _swap(models: str, name: str, key: SigningKey, change: Callable[[Pointer | None], Pointer]) -> Pointer:
    """Change the pointer as it was read, or not at all."""
    found = read_pointer(models, name, public_pem(key))
    before, etag = found if found else (None, "")
    after = change(before)
    if after is before:
        return after
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
