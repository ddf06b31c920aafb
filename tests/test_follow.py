"""Following the pointer: what is tried, refused or broken off, and that a store that is away harms nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from serve_config.errors import InputError, ServeFailedError, StoreAwayError
from serve_config.refusals import POINTER
from serve_config.rollout import Rollout
from serve_config.turn import goes_first
from serve_config.workplace import Memory
from tests.following import SECONDS, FakeRollout, World, pointer


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A follower of `v1`."""
    return World(monkeypatch)


def test_it_follows_and_remembers_the_counter(world: World) -> None:
    """A new pointer is a new release; the same one again is nothing."""

    async def run() -> None:
        async with world.following() as rollout:
            world.says = pointer("v2", 2, "v1")
            await world.looked()
            assert (rollout.version, rollout.tried, world.memory.counter) == ("v2", ["v2"], 2)

    asyncio.run(run())


def test_a_refused_release_is_not_tried_again_until_the_pointer_changes(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """One try, one line, one refusal; it goes away as soon as the pointer says something else."""

    async def run() -> None:
        async with world.following() as rollout:
            rollout.fails["v2"] = ServeFailedError("no good", reason="golden")
            world.says = pointer("v2", 2, "v1")
            await world.looked(6)
            assert (rollout.version, rollout.tried) == ("v1", ["v2"])
            assert world.refusals.holds("v2")
            world.says = pointer("v1", 3, "v2")
            await world.looked()
            assert world.refusals.current is None
            world.says = pointer("v2", 4, "v1")
            await world.looked(6)
            assert rollout.tried == ["v2", "v2"]

    asyncio.run(run())
    assert world.refusals.counts == {"golden": 2}
    assert capsys.readouterr().err.count("refused v2 (golden), v1 is served: no good") == 2


def test_a_store_that_is_away_is_said_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """What is served stays, nothing is refused, and when the store is back the pointer is followed."""

    async def run() -> None:
        async with world.following() as rollout:
            world.says = StoreAwayError("503 slow down")
            await world.looked(4)
            assert (rollout.version, rollout.tried, world.refusals.current) == ("v1", [], None)
            world.says = InputError("no such model")
            await world.looked(2)
            world.says = pointer("v1", 1)
            await world.looked()
            world.says = StoreAwayError("503 slow down")
            await world.looked()
            world.says = pointer("v2", 2, "v1")
            await world.looked()
            assert rollout.version == "v2"

    asyncio.run(run())
    said = capsys.readouterr().err
    assert said.count("cannot be followed now, what is served stays") == 2
    assert said.count("is followed again") == 2


def test_a_fetch_that_is_broken_off_is_tried_again(world: World) -> None:
    """The store was away in the middle of a release: that is no refusal of the release."""

    async def run() -> None:
        async with world.following() as rollout:
            rollout.fails["v2"] = StoreAwayError("503 slow down")
            world.says = pointer("v2", 2, "v1")
            await world.looked(3)
            assert world.refusals.current is None
            rollout.fails.clear()
            await world.looked(3)
            assert rollout.version == "v2"

    asyncio.run(run())


def test_a_pointer_that_is_not_to_be_trusted_changes_nothing(world: World) -> None:
    """It is refused as long as it lies there, and forgotten when the right one is back."""

    async def run() -> None:
        async with world.following() as rollout:
            world.says = ServeFailedError("not signed", reason="signature")
            await world.looked()
            assert (rollout.version, world.refusals.holds(POINTER)) == ("v1", True)
            world.says = pointer("v1", 1)
            await world.looked()
            assert world.refusals.current is None
            assert rollout.tried == []

    asyncio.run(run())


def test_a_release_that_nobody_wants_any_more_is_broken_off(world: World) -> None:
    """A rollback does not wait for a release that hangs while it loads."""

    async def run() -> None:
        async with world.following() as rollout:
            rollout.hangs.add("v2")
            world.says = pointer("v2", 2, "v1")
            await world.looked()
            world.says = pointer("v3", 3, "v1")
            await world.looked(4)
            assert (rollout.version, rollout.cancelled) == ("v3", ["v2"])

    asyncio.run(run())


def test_the_end_of_the_served_release_ends_the_node(world: World) -> None:
    """What the served release was given up with is raised at once, not at the next look."""

    async def run() -> None:
        rollout = FakeRollout()
        world.follower.first_look()
        rollout.served.running.set_exception(ServeFailedError("ended 5 times"))
        with pytest.raises(ServeFailedError, match="ended 5 times"):
            await asyncio.wait_for(world.follower.follow(cast("Rollout", rollout)), SECONDS)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("good", "previous", "broken", "served"),
    [
        ("", (), (), "v2"),
        ("v1", (), ("v2",), "v1"),
        ("", ("v0",), ("v2",), "v0"),
        ("v1", ("v0",), ("v2", "v1"), "v0"),
    ],
)
def test_a_node_starts_with_the_best_that_can_be_served(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, good: str, previous: tuple[str, ...], broken: tuple[str, ...],
    served: str,
) -> None:  # fmt: skip
    """The pointed release, else the one proven here last, else the one before; the refusal is of the pointed one."""
    if good:
        Memory(tmp_path, "m").remember_good(good)
    world = World(monkeypatch, tmp_path)
    world.says = pointer("v2", 2, *previous)

    async def run() -> None:
        rollout = FakeRollout(version="", fails={one: ServeFailedError(f"{one} is bad") for one in broken})
        world.follower.first_look()
        await world.follower.boot(cast("Rollout", rollout))
        assert rollout.version == served

    asyncio.run(run())
    assert world.refusals.holds("v2") == bool(broken)


def test_whose_turn_it_is_not_starts_with_the_version_before(world: World) -> None:
    """An open rollout reaches a new node only if it is among the first."""
    world.says = pointer("v2", 2, "v1", percentage=1)

    async def run() -> None:
        rollout = FakeRollout(version="")
        world.follower.first_look()
        await world.follower.boot(cast("Rollout", rollout))
        assert (rollout.version, rollout.tried) == ("v1", ["v1"])

    asyncio.run(run())
    assert world.refusals.current is None


def test_a_node_without_anything_to_serve_says_why(world: World) -> None:
    """The line is about the release that was wanted."""

    async def run() -> None:
        rollout = FakeRollout(version="", fails={"v1": ServeFailedError("v1 is bad")})
        world.follower.first_look()
        with pytest.raises(ServeFailedError, match="v1 is bad"):
            await world.follower.boot(cast("Rollout", rollout))

    asyncio.run(run())


def test_a_bad_pointer_at_the_start_needs_something_proven(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a release that was proven here the node does not start; with one it serves that."""
    world = World(monkeypatch, tmp_path)
    world.says = ServeFailedError("not signed", reason="signature")
    with pytest.raises(ServeFailedError, match="not signed"):
        world.follower.first_look()
    world.memory.remember_good("v1")
    world.follower.first_look()
    assert world.refusals.holds(POINTER)


def test_whose_turn_it_is_waits_for_the_list_of_nodes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """While a rollout is open nothing changes before the file is there; then the lowest hash goes first."""
    nodes = tmp_path / "nodes"
    world = World(monkeypatch, nodes=nodes)

    async def run() -> None:
        async with world.following() as rollout:
            world.says = pointer("v2", 2, "v1", percentage=10)
            await world.looked(6)
            assert (rollout.tried, world.follower.percentage) == ([], 10)
            nodes.write_text("n\nanother\n" if goes_first("n", 10, ["n", "another"]) else "n\n")
            await world.looked(6)
            assert rollout.version == "v2"
            world.says = pointer("v2", 3, "v1")
            await world.looked()
            assert world.follower.percentage == 100

    asyncio.run(run())
