"""Whose turn it is in an open rollout, and what a node starts with. Pure functions, by table."""

from __future__ import annotations

import pytest

from serve_config.turn import boot_order, goes_first, place_of, wanted_version
from serve_config.verify import Pointer

NODES = [f"i-{number:04d}" for number in range(1000)]


def pointer(percentage: int, *previous: str) -> Pointer:
    """Return a pointer to `new`."""
    return Pointer(name="m", version="new", counter=5, previous=previous, percentage=percentage)


@pytest.mark.parametrize("percentage", [1, 10, 50, 99])
def test_each_node_decides_for_itself_and_the_share_is_met(percentage: int) -> None:
    """Of 1,000 nodes that know of no other the share goes first, within what chance allows."""
    share = sum(goes_first(node, percentage) for node in NODES) / 10
    assert abs(share - percentage) < 5


def test_a_node_that_goes_first_stays_first() -> None:
    """A larger percentage takes every node in that a smaller one had, with and without all ids."""
    for nodes in ((), NODES[:40]):
        for smaller, larger in ((1, 10), (10, 50), (50, 100)):
            few = {node for node in NODES[:40] if goes_first(node, smaller, nodes)}
            many = {node for node in NODES[:40] if goes_first(node, larger, nodes)}
            assert few <= many
        assert many == set(NODES[:40])


@pytest.mark.parametrize(
    ("count", "percentage", "first"),
    [(1, 1, 1), (2, 50, 1), (2, 51, 2), (3, 10, 1), (10, 10, 1), (10, 11, 2), (10, 100, 10), (7, 99, 7)],
)
def test_of_known_nodes_the_number_is_rounded_up(count: int, percentage: int, first: int) -> None:
    """Where all ids are told, exactly that many go: those with the lowest hashes, whatever the order."""
    nodes = NODES[:count]
    chosen = [node for node in nodes if goes_first(node, percentage, nodes[::-1])]
    assert sorted(chosen, key=place_of) == sorted(nodes, key=place_of)[:first]


def test_the_hash_is_the_same_on_every_machine() -> None:
    """A node's place is no accident of one Python process."""
    assert place_of("i-0001") == pytest.approx(0.8482123, abs=1e-6)


@pytest.mark.parametrize(
    ("percentage", "previous", "wanted"),
    [
        (100, (), "new"),
        (100, ("old",), "new"),
        (1, (), "new"),
        (1, ("old", "older"), "old"),
    ],
)
def test_what_a_node_wants(percentage: int, previous: tuple[str, ...], wanted: str) -> None:
    """Whose turn it is not keeps the version before; where there is none, everybody follows."""
    last = max(NODES, key=place_of)
    assert wanted_version(pointer(percentage, *previous), last) == wanted


@pytest.mark.parametrize(
    ("wanted", "good", "previous", "order"),
    [
        ("new", "", (), ["new"]),
        ("new", "new", ("old",), ["new", "old"]),
        ("new", "good", ("old", "older"), ["new", "good", "old"]),
        ("new", "old", ("old",), ["new", "old"]),
    ],
)
def test_what_a_node_starts_with(wanted: str, good: str, previous: tuple[str, ...], order: list[str]) -> None:
    """First what the pointer says, then what was proven here, then what was served before elsewhere."""
    assert boot_order(wanted, good, previous) == order
