"""Who is in the group, in the run's folder: `members.json`, changed by compare-and-swap, and small files beside it.

A thousand nodes that changed one file at once would keep each other from it: each node says that it is there in a file
of its own, `here/<id>`, which the leader lists; and the leader's sign of life is a file that is read only when news
are missing.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from model_code import store
from model_code.membership import Members, decoded, without

FILE, HERE, PULSE = "members.json", "here", "pulse"
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds at most before a change is tried again: doubled each time somebody else was faster."""


class Roster:
    """The files of one run, seen from one node."""

    def __init__(self, run: str) -> None:
        """Take the run's URI."""
        self._uri = store.join(run, FILE)
        self._here, self._pulse = store.join(run, HERE), store.join(run, PULSE)
        self._known: tuple[Members, str] | None = None  # as it was read last, and its tag

    def read(self) -> Members | None:
        """Return what it says, None where nobody wrote it yet."""
        found = self._read()
        return found[0] if found else None

    def change(self, how: Callable[[Members], Members]) -> Members:
        """Replace what it says by what `how` makes of it, whatever others write meanwhile; return what it says now.

        Args:
            how: from the members before to those after; called again when somebody else was faster.
        """
        pause = FIRST_PAUSE
        while True:
            before, etag = self._read() or (Members(), "")
            after = how(before)
            if after == before:
                return before
            try:
                if etag:
                    store.replace(self._uri, after.encoded(), etag)
                else:
                    store.create(self._uri, after.encoded())
            except store.ConflictError:
                time.sleep(random.uniform(0, pause))  # noqa: S311 - those that met shall not meet again
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            return after

    def arrive(self, node: str) -> None:
        """Say that a node's program runs; said again, it is a sign of life."""
        store.write(store.join(self._here, node), uuid.uuid4().bytes)

    def here(self) -> dict[str, str]:
        """Return the nodes whose program runs, each with a tag that changes with its signs of life."""
        return store.tags(self._here)

    def forget(self, node: str) -> None:
        """Let a node count as gone until it says again that it is there."""
        store.delete(store.join(self._here, node))

    def leave(self, node: str) -> None:
        """Take a node out of the group, so that all save and the others go on at once.

        Who neither leads nor trains has nothing to change: the leader sees that its file is gone. Of a thousand that
        leave together, the first stops the training, and the others find that done.
        """
        self.forget(node)

        def left(before: Members) -> Members:
            if before.leader == node:
                staying = self.here()  # the next one in line may have left, and said it in its file alone
                members = tuple(one for one in before.members if one.id == node or one.id in staying)
                return without(replace(before, members=members), node)
            trains = any(one.id == node for one in before.trainers)
            return without(before, node) if trains else before

        self.change(left)

    def beat(self) -> None:
        """Give the leader's sign of life."""
        store.write(self._pulse, uuid.uuid4().bytes)

    def pulse(self) -> bytes:
        """Return the leader's last sign of life, empty before the first."""
        try:
            return store.read(self._pulse)
        except FileNotFoundError:
            return b""

    def _read(self) -> tuple[Members, str] | None:
        """Return members and tag; what has not changed since is not sent again. Several threads may ask."""
        known = self._known
        try:
            changed = store.read_changed(self._uri, known[1] if known else "")
        except FileNotFoundError:
            return None
        if changed:
            known = self._known = decoded(changed[0], self._uri), changed[1]
        return known
