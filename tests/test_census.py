"""When a serving node asks who the others are: in its turn, and the less often the further back it stands."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from serve_config.census import (
    AGAIN_SECONDS,
    LONGEST_SECONDS,
    RETRY_SECONDS,
    SPREAD_SECONDS,
    STALE,
    WHOLE,
    Census,
    first_wait,
    next_wait,
)
from serve_config.turn import place_of

LOOK = 10


class Group:
    """Some nodes, and what they ask."""

    def __init__(self, count: int, folder: Path) -> None:
        self.ids = sorted((f"i-{number:04d}" for number in range(count)), key=place_of)
        self.counted: list[float] = []
        self.listed: list[tuple[float, str]] = []
        self.seconds = 0.0
        self.away = False
        self.count = 0  # what the group says its size is, where it is not that
        self.folder = folder
        self.censuses = {one: Census(self._fleet(one), folder / one) for one in self.ids}

    def _fleet(self, node: str) -> Any:
        def size() -> int:
            self.counted.append(self.seconds)
            self._answer()
            return self.count or len(self.ids)

        def members() -> list[str]:
            self.listed.append((self.seconds, node))
            self._answer()
            return sorted(self.ids)

        return SimpleNamespace(instance=node, size=size, members=members)

    def _answer(self) -> None:
        if self.away:
            raise EndpointConnectionError(endpoint_url="autoscaling")

    def live(self, seconds: float, percentage: float) -> None:
        """Let all look, every ten seconds."""

        async def look() -> None:
            for _ in range(int(seconds / LOOK)):
                for one in self.ids:
                    await self.censuses[one].look(self.seconds, percentage)
                self.seconds += LOOK

        asyncio.run(look())

    def knowing(self) -> list[str]:
        """Return the nodes that know who is there, in the order of their places."""
        return [one for one in self.ids if (self.folder / one).exists()]


def test_all_ask_for_the_size_before_a_rollout_opens(tmp_path: Path) -> None:
    """One by one after their start, and for nothing else; then within the hour again, not all together."""
    group = Group(100, tmp_path)
    group.live(SPREAD_SECONDS + LOOK, WHOLE)
    assert len(group.counted) == 100
    assert max(Counter(group.counted).values()) <= 40  # there are three looks
    group.live(1.5 * LONGEST_SECONDS, WHOLE)
    assert 200 <= len(group.counted) <= 300
    assert max(Counter(group.counted[100:]).values()) <= 10
    assert not group.listed


def test_whoever_a_rollout_takes_first_asks_first(tmp_path: Path) -> None:
    """Of 100 nodes a third asks for all ids: the first ones."""
    group = Group(100, tmp_path)
    group.live(SPREAD_SECONDS + LOOK, WHOLE)
    group.live(140, 10)
    asked = {one for _, one in group.listed}
    assert asked == set(group.ids[: len(asked)])
    assert 10 < len(asked) < 40
    assert len(group.counted) == 100


def test_in_a_small_group_whoever_is_taken_asks_at_once(tmp_path: Path) -> None:
    """Of two nodes that have run for a while, the first knows who is there at its first look at the rollout."""
    group = Group(2, tmp_path)
    group.live(SPREAD_SECONDS + LOOK, WHOLE)
    opened = group.seconds
    group.live(LOOK, 50)
    assert (opened, group.ids[0]) in group.listed
    assert group.ids[0] in group.knowing()


def test_a_group_that_shrank_does_not_wait_as_a_large_one(tmp_path: Path) -> None:
    """Of 1000 nodes the ten hindmost are left: they ask at the pace of ten."""
    group = Group(1000, tmp_path)
    group.ids = group.ids[-10:]
    group.count = 1000
    group.live(SPREAD_SECONDS + LOOK, WHOLE)
    group.count = 10
    group.live(1.5 * LONGEST_SECONDS, WHOLE)
    opened = group.seconds
    group.live(3 * LOOK, 100 - 1)
    assert {one for seconds, one in group.listed if seconds >= opened} == set(group.ids)


@pytest.mark.parametrize("before", [WHOLE, 10], ids=["before it opens", "while it is open"])
def test_a_thousand_nodes_together_ask_less_than_twice_a_second(tmp_path: Path, before: float) -> None:
    """For the ids of all, in each of ten minutes, whenever they start; all that the rollout takes ask in the first."""
    group = Group(1000, tmp_path)
    group.live(SPREAD_SECONDS + LOOK, before)
    assert len(group.counted) == 1000
    group.live(60, 10)
    assert group.knowing()[:100] == group.ids[:100]
    group.live(540, 10)
    minutes = Counter(int(seconds / 60) for seconds, _ in group.listed)
    assert max(minutes.values()) < 120
    assert len(group.counted) == 1000


def test_a_larger_share_is_asked_for_anew(tmp_path: Path) -> None:
    """The next ones do not wait until what they know is old."""
    group = Group(20, tmp_path)
    group.live(SPREAD_SECONDS + LOOK, 5)
    before = len(group.listed)
    group.live(30, 50)
    assert {one for _, one in group.listed[before:]} >= set(group.ids[:10])
    assert len(group.counted) == 20


def test_an_old_answer_is_forgotten(tmp_path: Path) -> None:
    """Whoever is far back asks seldom, and does not decide by what was long ago; whose turn it is keeps asking."""
    group = Group(10, tmp_path)
    group.live(150, 20)  # until the last one has asked
    assert set(group.ids[6:]) & set(group.knowing())
    group.live(STALE * AGAIN_SECONDS + LOOK, 20)
    assert group.knowing()[:2] == group.ids[:2]
    assert not set(group.ids[6:]) & set(group.knowing())


def test_a_node_whose_turn_has_come_learns_of_it(tmp_path: Path) -> None:
    """Those before it vanish: the next one knows within what an answer holds."""
    group = Group(10, tmp_path)
    group.live(120, 20)
    group.ids = group.ids[2:]
    group.live(2 * AGAIN_SECONDS + 4 * LOOK, 20)
    assert (tmp_path / group.ids[0]).read_text().split() == sorted(group.ids)


def test_a_question_without_an_answer_is_asked_again(tmp_path: Path) -> None:
    """Soon, and not at each look; a node that knows nothing writes nothing."""
    group = Group(1, tmp_path)
    group.away = True
    group.live(SPREAD_SECONDS + 10 * RETRY_SECONDS, 50)
    assert not group.knowing()
    assert 5 < len(group.counted) < 25
    group.away = False
    group.live(2 * RETRY_SECONDS, 50)
    assert group.knowing() == group.ids


def test_the_rollout_is_over(tmp_path: Path) -> None:
    """What was known is forgotten, but for the size: the next rollout asks for no number."""
    group = Group(2, tmp_path)
    group.live(SPREAD_SECONDS + LOOK, 50)
    assert group.knowing() == group.ids
    group.live(LOOK, 100)
    assert group.knowing() == []
    group.live(3 * LOOK, 50)
    assert group.knowing() == group.ids
    assert len(group.counted) == 2


@pytest.mark.parametrize(
    ("place", "size", "percentage", "seconds"),
    [
        (0.01, 1000, 10, 0.0),  # sooner than the next look
        (0.05, 1000, 10, 30.0 - LOOK),  # one of the first: in order
        (0.1, 1000, 10, 60.0 - LOOK),
        (0.2, 1000, 10, 480.0 - LOOK),  # as far back again: four times later
        (0.9, 1000, 10, 0.9 * LONGEST_SECONDS - LOOK),
        (0.5, 10, 10, 75.0 - LOOK),
        (0.9, 1, 1, 0.0),
    ],
)
def test_the_first_question(place: float, size: int, percentage: float, seconds: float) -> None:
    """By place, size and share."""
    assert first_wait(place, size, percentage) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("rank", "size", "percentage", "seconds"),
    [(1, 10, 10, 60.0), (2, 10, 10, 240.0), (10, 10, 10, 3600.0), (100, 1000, 10, 600.0), (7, 10, 100, 60.0)],
)
def test_the_next_questions(rank: int, size: int, percentage: float, seconds: float) -> None:
    """After a minute at the soonest, an hour at the latest."""
    assert next_wait(rank, size, percentage) == pytest.approx(seconds)
