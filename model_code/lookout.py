"""The thread that knows who is in the group: the leader asks AWS and writes `members.json`, the others read it.

N nodes that poll an API are throttled, so only one does. The others ask AWS when the file has not changed for a while
(its leader is gone), or their own training broke: the next in line first, each later one a little later, so that
one of them asks. AWS sees machines that are off, and none that hang: a node that is called in the file and does not
answer there is taken out, and its group is told to replace it.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from obstore.exceptions import BaseError

from model_code.errors import InputError
from model_code.membership import Living, Member, Members, called, heard, present, seen, silenced
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
LEAVING_POLLS = 3
"""The same for a node that AWS has out of service already: it takes its leave by itself, if it lives."""
STAGGER_POLLS = 2
"""Looks that each one in line waits longer than the one before it: nodes see the same news up to 1.3 looks apart."""
HEIRS = 3
"""So many stand in line; of the others each draws its turn."""
FIRST_ASKERS = 4
"""About so many draw the first turn, twice as many each next one: somebody asks soon, however many are there."""
NEWS_POLLS = 6
"""Looks between two lists of nodes that only wait: all nodes read each, and it names all."""
STOP_SECONDS = 5.0


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
        self._alarm = False  # something broke
        self._suspected: float | None = None  # since when the leader may be gone
        self._short_since: float | None = None  # fewer than the full group, since
        self._beaten = -math.inf  # when this node, leading, last gave a sign of life
        self._told = -math.inf  # when it last listed who waits
        self._said = -math.inf  # when this node last said that it is there
        self._pulse = b""
        self._chance = random.random()  # noqa: S311 - draws our turn
        # Who is called: its tag, and since when that is the same.
        self._called: dict[str, tuple[str, float]] = {}
        self._leader_called = math.inf  # since when the leader is called, as we know
        self._silenced: frozenset[str] = frozenset()
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
        found = self._roster.read() or Members()
        self._note(found, now)
        self._say(found, now)
        alarmed, self._alarm = self._alarm, False
        if alarmed:
            self._suspected = now
        self._hear_leader(now, clears=not alarmed)  # the last sign of life may be from before
        if self.leads or self._due(now):
            self._survey(now)

    def _say(self, found: Members, now: float) -> None:
        """Say that this node is there, as long as the file does not know it; and whenever it is called."""
        unknown = self._me not in found.here and now - self._said >= STALE_POLLS * self._poll
        if (unknown or (self._me in found.called and not self.leads)) and not self._over.is_set():
            self._roster.arrive(self._me)
            self._said = now

    def _hear_leader(self, now: float, *, clears: bool) -> None:
        """Look for the leader's sign of life where news are missing; `clears`: it ends a suspicion."""
        if self.leads or (self._suspected is None and now - self._fresh <= BEAT_POLLS * self._poll):
            return
        pulse = self._roster.pulse()
        if self._pulse and pulse != self._pulse and clears:
            self._fresh, self._suspected = now, None
        self._pulse = pulse

    def _due(self, now: float) -> bool:
        """Tell whether it is this node's turn to ask, after some time without news."""
        turn = self._turn() * self._poll
        if now - self._leader_called > turn + SILENT_POLLS * self._poll:
            return True
        if self._suspected is not None:
            return now - self._suspected >= turn
        return now - self._fresh >= turn + (STALE_POLLS * self._poll if self.members.members else 0)

    def _turn(self) -> float:
        """Return after how many looks it is this node's turn."""
        ids = [one.id for one in self.members.members]
        if self._me in ids[: HEIRS + 1]:
            return STAGGER_POLLS * max(0, ids.index(self._me) - 1)
        nodes = max(len(ids), self._wishes.nodes)
        drawn = math.log2(max(1.0, nodes * self._chance / FIRST_ASKERS))
        return STAGGER_POLLS * (drawn + (HEIRS if ids else 0))

    def _note(self, found: Members, now: float) -> None:
        if found.leader not in found.called or found.leader != self.members.leader:
            self._leader_called = math.inf
        if found.leader in found.called:
            self._leader_called = min(self._leader_called, now)
        if found != self.members:
            self.members, self._fresh, self._suspected = found, now, None
            self._chance = random.random()  # noqa: S311
            self._woken.set()

    def _survey(self, now: float) -> None:
        """Ask AWS, and write what it says if this node leads, or nobody does who lives."""
        living = self._living()
        if not self.leads and self._lives(living, now):
            return
        after = self._roster.change(lambda before: self._seen(before, living, now))
        if after != self.members:
            self._told = now
        self._note(after, now)
        if self.leads and now - self._beaten > BEAT_POLLS * self._poll:
            self._roster.beat()
            self._beaten = now
        for node in self._silenced:
            self._roster.forget(node)
        self._give_up(self._silenced, living)

    def _lives(self, living: Living, now: float) -> bool:
        """Tell whether somebody else is there to lead; it is called then: AWS says that it lives, but does it?"""
        here = self._roster.here()
        hangs = now - self._leader_called > SILENT_POLLS * self._poll
        lost = {self.members.leader} if hangs else set()
        first = next((one.id for one in sorted(living.members) if one.id in here and one.id not in lost), "")
        leads = any(one.id == self.members.leader for one in living.members if one.id in here and not hangs)
        if first and (first == self._me or not leads):
            return False
        self._fresh, self._suspected, self._chance = now, None, random.random()  # noqa: S311
        if first:
            self._roster.change(lambda before: called(before, first))
        return True

    def _silent(self, before: Members, here: Mapping[str, str], now: float) -> frozenset[str]:
        """Return the nodes that were called and have not answered for long."""
        since = {one: self._called.get(one, ("", now)) for one in before.called if one != self._me}
        self._called = {
            one: (here.get(one, ""), begun if tag in ("", here.get(one, "")) else now)
            for one, (tag, begun) in since.items()
        }
        members = {one.id for one in before.members}
        silent = {
            one
            for one, (_, begun) in self._called.items()
            if now - begun > (SILENT_POLLS if one in members else LEAVING_POLLS) * self._poll
        }
        if not self.leads and now - self._leader_called > SILENT_POLLS * self._poll:
            silent.add(self.members.leader)
        return frozenset(silent)

    def _give_up(self, silent: frozenset[str], living: Living) -> None:
        """Have AWS replace the nodes that hang, until they are off."""
        for node in sorted(silent - self._hanging):
            say(f"{node} does not answer, though AWS says that it runs: the group is told to replace it")
        self._hanging = (self._hanging | silent) & living.running
        self._hanging -= set(self.members.here)  # it was slow, and has come back
        for node in sorted(self._hanging):
            self._replace(node)

    def _seen(self, before: Members, living: Living, now: float) -> Members:
        """Return the members after a look at the nodes' own files and at what AWS says."""
        here = self._roster.here()  # after `before` was read: who leaves takes its file away first
        asked = dict(self._called)
        self._silenced = silent = self._silent(before, here, now)
        answered = {one for one in before.called if one in asked and asked[one][0] != here.get(one, "")}
        known = silenced(before, silent)
        known = heard(known, set(here) - silent, answered | {self._me})
        after = seen(known, living, self._active(present(known, living), now))
        if (
            replace(after, members=before.members, here=before.here) != before
            or after.leader != before.leader
        ):
            return after
        full = len(after.members) >= self._wishes.nodes
        return after if full or now - self._told >= NEWS_POLLS * self._poll else before

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
