"""Who the group's nodes are, for as long as a rollout is open to a share of them: each node asks when its place comes.

Every answer names all nodes, and nodes that all ask at once are throttled. So those that a rollout takes first ask
first, one after the other, however many there are; the further back a node's place is, the less it is in a hurry.
"""

from __future__ import annotations

import math
import random
from pathlib import Path

from serve_config.cloud_metrics import LOOK_SECONDS
from serve_config.fleet import Fleet, tried
from serve_config.turn import place_of

WHOLE = 100
"""Per cent: no rollout is open."""
SPREAD_SECONDS = 30.0
"""Within these after its start a node asks how large its group is, and then every hour: the answer is a number."""
A_NODE_SECONDS = 0.6
"""Between two nodes' questions for the ids of all: a thousand nodes ask less than twice a second."""
AGAIN_SECONDS = 60.0
"""At least so long an answer holds."""
STALE = 1.5
"""After so many times that it is forgotten; a node that does not know who is there changes nothing."""
LONGEST_SECONDS = 3600.0
"""At the latest then a node asks again, wherever it stands: others vanish, and its turn must come."""
RETRY_SECONDS = 30.0
"""After a question without an answer, give or take half."""


class Census:
    """What this node knows of the others, written to a file for the serving process."""

    def __init__(self, fleet: Fleet, nodes: Path) -> None:
        """Ask nothing yet.

        Args:
            fleet: the node's place among the others.
            nodes: file for the ids of the group's nodes.
        """
        self._fleet, self._nodes = fleet, nodes
        self._place = place_of(fleet.instance)
        self._size = 0  # of the group, as it was seen last: it tells how long to wait, no more
        self._rank = 0  # this node's, as it was seen last
        self._share = float(WHOLE)
        self._opened = self._stale = 0.0
        self._size_due: float | None = None
        self._ids_due = math.inf

    async def look(self, seconds: float, percentage: float) -> None:
        """Do what is due.

        Args:
            seconds: now, on a clock that only goes forward.
            percentage: of the rollout that is open; 100 for none.
        """
        if percentage != self._share:
            self._share, self._opened = percentage, seconds
            self._ids_due = self._first_due()
        await self._ask_size(seconds)
        if percentage >= WHOLE:
            self._nodes.unlink(missing_ok=True)
            return
        if seconds >= self._ids_due:
            written = await tried(self._write, "read the group's nodes")
            waits = next_wait(self._rank, self._size, percentage)
            self._ids_due = seconds + (waits if written else _about(RETRY_SECONDS))
            self._stale = seconds + STALE * _holds(self._size) if written else self._stale
        if seconds >= self._stale:  # a share that is raised must not be taken by who was there long ago
            self._nodes.unlink(missing_ok=True)

    async def _ask_size(self, seconds: float) -> None:
        """Ask for the size before a rollout opens: a node that knew none then would be late."""
        if self._size_due is None:
            self._size_due = seconds + self._place * SPREAD_SECONDS
        if seconds < self._size_due:
            return
        counted = await tried(self._count, "read how large the group is")
        self._size_due = seconds + _about(LONGEST_SECONDS if counted else RETRY_SECONDS)
        if counted and self._ids_due == math.inf:
            self._ids_due = self._first_due()

    def _first_due(self) -> float:
        """Return when to ask for all ids, of a rollout that was just seen; never while the size is not known."""
        if not self._size:
            return math.inf
        return self._opened + first_wait(self._place, self._size, self._share)

    def _count(self) -> None:
        self._size = self._fleet.size()

    def _write(self) -> None:
        found = self._fleet.members()
        self._size = len(found)
        self._rank = sum(place_of(one) <= self._place for one in found)
        partial = self._nodes.with_suffix(".part")
        partial.write_text("\n".join(found) + "\n")
        partial.replace(self._nodes)


def first_wait(place: float, size: int, percentage: float) -> float:
    """Return after how many seconds of a rollout a node asks first: in the order of the places.

    Whoever need not wait until its next look asks at once: nodes do not look all at the same moment.

    Args:
        place: the node's, from 0 to 1.
        size: of the group.
        percentage: of the rollout.
    """
    rank = place * size
    waits = min(rank * A_NODE_SECONDS * _distance(rank, size, percentage), place * LONGEST_SECONDS)
    return max(0.0, waits - LOOK_SECONDS)


def next_wait(rank: int, size: int, percentage: float) -> float:
    """Return after how many seconds a node asks again.

    Args:
        rank: how many nodes stand before this one, and itself.
        size: of the group.
        percentage: of the rollout.
    """
    return min(_holds(size) * _distance(rank, size, percentage), LONGEST_SECONDS)


def _holds(size: int) -> float:
    """Return how many seconds an answer holds for a node whose turn it is."""
    return max(AGAIN_SECONDS, size * A_NODE_SECONDS)


def _distance(rank: float, size: int, percentage: float) -> float:
    """Return how much less a node is in a hurry than one whose turn it is: twice as far back, four times."""
    turns = math.ceil(size * percentage / WHOLE)
    return max(1.0, rank / max(1, turns)) ** 2


def _about(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311
