"""How the pointer moves: publications, rollouts to a share of the nodes, promotion, abortion, rollback."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_code.errors import InputError, RunFailedError
from model_code.pointer import (
    Pointer,
    abort,
    aborted,
    move_back,
    move_pointer,
    promote,
    promoted,
    published,
    read_pointer,
    rolled_back,
    shares,
)
from model_code.signing import ensure_key_pair, public_pem


def at(version: str, *previous: str, percentage: int = 100, counter: int = 4) -> Pointer:
    """Return a pointer."""
    return Pointer(name="m", version=version, counter=counter, previous=previous, percentage=percentage)


OPEN = at("b", "a", "z", percentage=10)


@pytest.mark.parametrize(
    ("before", "version", "percentage", "after"),
    [
        (None, "a", None, at("a", counter=1)),
        (None, "a", 100, at("a", counter=1)),
        (at("a"), "b", None, at("b", "a", counter=5)),
        (at("a", "z"), "b", 10, at("b", "a", "z", percentage=10, counter=5)),
        (at("a", "b"), "b", None, at("b", "a", counter=5)),
        (at("b", "a"), "b", None, at("b", "a")),
        (OPEN, "b", None, OPEN),
        (OPEN, "b", 10, OPEN),
        (OPEN, "b", 50, at("b", "a", "z", percentage=50, counter=5)),
        (OPEN, "b", 100, at("b", "a", "z", counter=5)),
    ],
)
def test_publication(before: Pointer | None, version: str, percentage: int | None, after: Pointer) -> None:
    """The counter rises where something changes; the same again changes nothing, an open rollout included."""
    assert published(before, "m", version, percentage) == after


def test_a_second_rollout_waits_for_the_first() -> None:
    """Another release while a rollout is open is refused, and the line names both ways out."""
    with pytest.raises(RunFailedError, match=r"open rollout of b to 10 %.*promote --name m.*abort --name m"):
        published(OPEN, "m", "c", None)


@pytest.mark.parametrize("before", [None, at("a")])
def test_a_share_needs_something_for_the_others(before: Pointer | None) -> None:
    """The first release goes to all nodes: the others would have nothing to serve."""
    with pytest.raises(InputError, match="--percentage must be 100"):
        published(before, "m", "a", 10)


def test_the_ends_of_a_rollout() -> None:
    """Promotion gives it to all; abortion and rollback go back, and forget what was aborted."""
    assert promoted(OPEN, "m") == at("b", "a", "z", counter=5)
    assert aborted(OPEN, "m") == at("a", "z", counter=5)
    assert rolled_back(OPEN, "m", "a") == at("a", "z", counter=5)
    assert rolled_back(OPEN, "m", "z") == at("z", "a", counter=5)
    with pytest.raises(InputError, match="write `skylift promote --name m`"):
        rolled_back(OPEN, "m", "b")
    for end in (promoted, aborted):
        for closed in (None, at("b", "a")):
            with pytest.raises(InputError, match="must have an open rollout"):
                end(closed, "m")


def test_shares_of_the_nodes() -> None:
    """While a rollout is open two versions are served."""
    assert shares(None) == {}
    assert shares(at("b", "a")) == {"b": 100}
    assert shares(OPEN) == {"b": 10, "a": 90}


def test_every_move_is_signed_counted_and_written(tmp_path: Path) -> None:
    """A life of the pointer in a store: each step is what the next one reads."""
    models, key = str(tmp_path / "models"), ensure_key_pair(tmp_path / "keys")
    seen = [move_pointer(models, "m", "a", key), move_pointer(models, "m", "b", key, 25)]
    seen += [abort(models, "m", key), move_pointer(models, "m", "b", key, 25), promote(models, "m", key)]
    seen.append(move_back(models, "m", "a", key))
    assert [(one.counter, one.version, one.percentage) for one in seen] == [
        (1, "a", 100),
        (2, "b", 25),
        (3, "a", 100),
        (4, "b", 25),
        (5, "b", 100),
        (6, "a", 100),
    ]
    found = read_pointer(models, "m", public_pem(key))
    assert found is not None
    assert found[0] == seen[-1]
