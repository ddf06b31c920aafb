"""The thread that knows who is in the group: the leader asks AWS and writes `members.json`, the others read it.

N nodes that poll an API are throttled, so only one does. The others ask AWS when the file has not changed for a while
(its leader is gone), or their own training broke: the next in line first, each later one a little later, so that
one of them asks. AWS sees machines that are off, and none that hang: a node that is called in the file and does not
answer there is taken out, and its group is told to replace it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from obstore.exceptions import BaseError

from model_code.errors import InputError
from model_code.membership import Living, Member, Members, arrived, called, present, seen, silenced
from model_code.progress import say
from model_code.roster import Roster
from model_code.scaling_group import AwsError

JITTER = 0.3
"""Share by which a follower's look comes sooner or later than the last one."""
BEAT_POLLS = 2
"""Looks between the leader's signs of life."""
STALE_POLLS = 6
"""Looks without a sign of life after which the leader counts as gone."""
SILENT_POLLS = 6
"""Looks after which a node that is called, and has not answered, counts as gone whatever AWS says."""
STAGGER_POLLS = 2
"""Looks that each one in line waits longer than the one before it: nodes see the same news up to 1.3 looks apart."""
STOP_SECONDS = 5.0
NEWCOMERS_RANK = 3
"""Where a node stands in line that the file does not name yet."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """When a group is complete enough to train."""

    nodes: int
    """Nodes of the full group."""
    wait_seconds: float
    """How long fewer wait for the others."""
    fitting: Callable[[int], int]
    """How many of so many nodes can train; 0: none, for now."""


class Lookout:
    """What one node knows of its group, kept up to date by a thread between `start` and `stop`."""

    def __init__(
        self,
        me: str,
        roster: Roster,
        living: Callable[[], Living],
        replace_node: Callable[[str], None],
        wishes: Wishes,
        *,
        poll: float,
        woken: threading.Event,
    ) -> None:
        """Take where to look.

        Args:
            me: this node's id.
            roster: the file that all read.
            living: asks AWS.
            replace_node: has AWS replace a node that hangs.
            wishes: when the group trains.
            poll: seconds between two looks.
            woken: set whenever the members have changed.
        """
        self._me, self._roster, self._living, self._wishes = me, roster, living, wishes
        self._replace = replace_node
        self._poll, self._woken = poll, woken
        self.members = Members()
        """As they were last seen."""
        self._fresh = time.monotonic()
        self._waits = False  # an older node is known to live: it will write
        self._alarm = False  # something broke
        self._suspected: float | None = None  # since when the leader may be gone
        self._short_since: float | None = None  # fewer than the full group, since
        self._beaten = 0.0
        self._called: dict[str, float] = {}  # who is called, since when we know
        self._hanging: set[str] = set()  # who did not answer and still runs
        self._asked_again = threading.Event()
        self._over = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._look_on, name="lookout", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def retire(self) -> None:
        """Look no more, from the next look on: this node is about to take its leave."""
        self._over.set()
        self._asked_again.set()

    def stop(self) -> None:
        """Look no more, and wait for the look that is under way (not for an AWS that does not answer)."""
        self.retire()
        if self._thread.ident:  # it may never have begun
            self._thread.join(STOP_SECONDS)

    def suspect(self) -> None:
        """Look at once: something broke, and a node may be gone."""
        self._alarm = True
        self._asked_again.set()

    @property
    def leads(self) -> bool:
        """True: this node leads the group."""
        return self.members.leader == self._me

    @property
    def trains(self) -> bool:
        """True: this node is one of those that train."""
        return any(one.id == self._me for one in self.members.trainers)

    def look(self, now: float) -> None:
        """Look once: read the file, and ask AWS where it is this node's turn.

        Args:
            now: seconds on a clock that only goes on.
        """
        found = self._roster.read()
        if found is None or self._me not in found.here or self._me in found.called:
            found = self._roster.change(self._arrived)
        self._note(found, now)
        self._called = {one: self._called.get(one, now) for one in found.called}
        if self._alarm:
            self._alarm, self._suspected = False, now
        if self.leads or self._due(now):
            self._survey(now)

    def _arrived(self, before: Members) -> Members:
        return before if self._over.is_set() else arrived(before, self._me)

    def _due(self, now: float) -> bool:
        """Tell whether it is this node's turn to ask, after some time without news."""
        ids = [one.id for one in self.members.members]
        rank = ids.index(self._me) if self._me in ids else len(ids) + random.randrange(NEWCOMERS_RANK)  # noqa: S311
        turn = STAGGER_POLLS * max(0, rank - 1) * self._poll
        if self.members.leader in self._silent(now - turn):
            return True
        if self._suspected is not None:
            return now - self._suspected >= turn
        new = not self.members.members and not self._waits
        return now - self._fresh > turn + (0 if new else STALE_POLLS * self._poll)

    def _note(self, found: Members, now: float) -> None:
        if found == self.members:
            return
        changed = replace(found, beat=0) != replace(self.members, beat=0)
        self.members, self._fresh, self._suspected = found, now, None
        if changed:
            self._woken.set()

    def _survey(self, now: float) -> None:
        """Ask AWS, and write what it says if this node leads, or is the one to lead now."""
        living, silent = self._living(), self._silent(now)
        first = next((one.id for one in present(self.members, living) if one.id not in silent), "")
        if not self.leads and first != self._me:
            self._fresh, self._suspected, self._waits = now, None, True
            self._roster.change(lambda before: called(before, first))  # AWS says that it lives: does it?
            return
        beating = now - self._beaten > BEAT_POLLS * self._poll
        after = self._roster.change(lambda before: self._seen(silenced(before, silent), living, now, beating))
        if after.beat != self.members.beat:
            self._beaten = now
        self._note(after, now)
        self._give_up(silent, living)

    def _silent(self, now: float) -> frozenset[str]:
        """Return the nodes that were called and have not answered for long."""
        return frozenset(
            one for one, since in self._called.items() if now - since > SILENT_POLLS * self._poll
        )

    def _give_up(self, silent: frozenset[str], living: Living) -> None:
        """Have AWS replace the nodes that hang, until they are off."""
        for node in sorted(silent - self._hanging):
            say(f"{node} does not answer, though AWS says that it runs: the group is told to replace it")
        self._hanging = (self._hanging | silent) & living.running
        self._hanging -= set(self.members.here)  # it was slow, and has come back
        for node in sorted(self._hanging):
            self._replace(node)

    def _seen(self, before: Members, living: Living, now: float, beating: bool) -> Members:
        active = self._active(present(before, living), now)
        after = seen(before, living, active)
        return replace(after, beat=before.beat + 1) if beating or after != before else before

    def _active(self, members: tuple[Member, ...], now: float) -> int:
        """Return how many nodes are to train: as many as can, once the group is full or has waited long enough."""
        if len(members) >= self._wishes.nodes:
            self._short_since = None
            return self._wishes.fitting(self._wishes.nodes)
        if self._short_since is None:
            self._short_since = now
        waited = now - self._short_since >= self._wishes.wait_seconds
        return self._wishes.fitting(len(members)) if waited else 0

    def _look_on(self) -> None:
        while not self._over.is_set():
            self._asked_again.clear()
            try:
                self.look(time.monotonic())
                self._failing = False
            except (*AwsError, BaseError, OSError, InputError) as error:
                if not self._failing:  # said once; asked again until it works
                    say(f"warning: the group cannot be looked at: {error}; the training goes on as it is")
                self._failing = True
            spread = 0 if self.leads else JITTER
            self._asked_again.wait(self._poll * random.uniform(1 - spread, 1 + spread))  # noqa: S311
