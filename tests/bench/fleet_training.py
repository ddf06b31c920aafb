"""Training nodes by the hundred: the real lookout, roster and questions to AWS, on a clock of their own."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from model_code import lookout as lookout_room
from model_code import roster as roster_room
from model_code import store
from model_code.lookout import JITTER, Lookout, Wishes
from model_code.membership import decoded
from model_code.roster import Roster
from model_code.scaling_group import Clients, ScalingGroup
from tests.bench.fleet_aws import Bill, Bucket, Group
from tests.bench.fleet_clock import Clock

POLL = 5.0
"""Seconds between two looks: the default."""
BOOT_SECONDS = 10.0
"""All nodes begin within these."""
RUN = "s3://work/runs/run-0123456789ab"
STEADY_SECONDS = 300.0
PATIENCE = 3600.0


class Nodes:
    """Some training nodes of one group."""

    def __init__(self, count: int, seed: int = 0) -> None:
        """Have them boot.

        Args:
            count: how many.
            seed: of all chance.
        """
        random.seed(seed)
        self.clock, self.bill = Clock(), Bill()
        self.count = count
        self.bucket = Bucket(self.bill, lambda: self.clock.now, self.clock.sleep)
        self.group = Group(self.bill, lambda: self.clock.now, self.clock.sleep)
        self.group.ids = [f"i-{number:017x}" for number in random.sample(range(60_000), count)]
        self.lookouts: dict[str, Lookout] = {}
        self._seen: dict[str, tuple[str, int, int]] = {}
        self._agreeing: Counter[tuple[str, int, int]] = Counter()
        self._leaving: set[str] = set()
        for one in self.group.ids:
            self.clock.start(random.uniform(0, BOOT_SECONDS), self._life(one))

    def until_agreed(self, training: bool) -> float:
        """Let them live until all see the same leader and epoch; return the seconds that it took.

        Args:
            training: and that all of them train.
        """
        begun = self.clock.now
        while True:
            self.clock.run(0.5)
            living = set(self.group.ids) - self._leaving
            (seen, agreeing), *_ = self._agreeing.most_common(1) or [(("", 0, 0), 0)]
            leader, _, active = seen
            if agreeing == len(living) and leader in living and (not training or active == len(living)):
                return self.clock.now - begun
            if self.clock.now - begun > PATIENCE:
                return float("nan")

    def vanish(self, number: int) -> None:
        """Let the first so many of the line vanish: AWS does not know them any more."""
        members = next(iter(self.lookouts.values())).members.members if number else ()
        for one in members[:number]:
            self.group.ids.remove(one.id)
            self._forget(one.id)

    def take_leave(self) -> None:
        """Let all hear within some seconds that they are to go: a scale-in, or the end of a spot market."""
        for one in self.group.ids:
            self._leaving.add(one)
            self._forget(one)
            self.clock.start(self.clock.now + random.uniform(0, POLL), self._leave(one))

    def _leave(self, me: str) -> Callable[[], None]:
        def leave() -> None:
            self.lookouts[me].retire()
            Roster(RUN).leave(me)

        return leave

    def _life(self, me: str) -> Callable[[], None]:
        def live() -> None:
            wishes = Wishes(nodes=self.count, wait_seconds=600, fitting=lambda nodes: nodes)
            group = ScalingGroup(Clients(autoscaling=self.group, ec2=self.group, cloudwatch=None), "train")
            roster, woken = Roster(RUN), threading.Event()
            own = Lookout(me, roster, group.living, lambda _: None, wishes, poll=POLL, woken=woken)
            self.lookouts[me] = own
            while me in self.group.ids and me not in self._leaving:
                own.look(self.clock.now)
                self._note(me, own)
                spread = 0 if own.leads else JITTER
                self.clock.sleep(POLL * random.uniform(1 - spread, 1 + spread))

        return live

    def _note(self, me: str, own: Lookout) -> None:
        if me not in self.group.ids or me in self._leaving:
            return
        self._forget(me)
        self._seen[me] = (own.members.leader, own.members.epoch, own.members.active)
        self._agreeing[self._seen[me]] += 1

    def _forget(self, me: str) -> None:
        before = self._seen.pop(me, None)
        if before:
            self._agreeing[before] -= 1


@contextmanager
def simulated(count: int, seed: int = 0) -> Iterator[Nodes]:
    """Yield nodes whose store, clock and AWS are the simulation's."""
    nodes = Nodes(count, seed)
    time: Any = SimpleNamespace(monotonic=lambda: nodes.clock.now, sleep=nodes.clock.sleep)
    with (
        patch.object(store, "obstore", nodes.bucket),
        patch.object(store, "_open", lambda uri, **_: (None, uri.removeprefix("s3://"))),
        patch.object(lookout_room, "time", time),
        patch.object(roster_room, "time", time, create=True),
        # A thousand nodes read the same list on machines of their own; here one reading will do.
        patch.object(roster_room, "decoded", lru_cache(maxsize=8)(decoded)),
    ):
        try:
            yield nodes
        finally:
            nodes.clock.close()


def measure_training(count: int) -> dict[str, float]:
    """Return calls and seconds of a group's life: boot, steady state, the leader's loss, the end."""
    found: dict[str, float] = {"nodes": count}
    with simulated(count) as nodes:
        for name, lost, training, seconds in (
            ("boot", 0, True, 0.0),
            ("steady", 0, False, STEADY_SECONDS),
            ("leader_lost", 1, False, 0.0),
            ("third_lost", count // 3, False, 0.0),
        ):
            nodes.bill.clear()
            nodes.vanish(lost)
            found[f"{name}_seconds"] = nodes.until_agreed(training)
            nodes.clock.run(seconds)
            found |= _costs(name, nodes.bill)
        nodes.bill.clear()
        nodes.take_leave()
        nodes.clock.run(120)
        found |= _costs("leave", nodes.bill)
    return found


def _costs(name: str, bill: Bill) -> dict[str, float]:
    api = bill.of("autoscaling") + bill.of("ec2")
    return {
        f"{name}_s3": bill.of("s3"),
        f"{name}_s3_bytes": bill.size("s3"),
        f"{name}_s3_peak": bill.peak("s3"),
        f"{name}_api": api,
        f"{name}_api_records": bill.size("autoscaling") + bill.size("ec2"),
        f"{name}_api_peak": max(bill.peak("autoscaling"), bill.peak("ec2")),
        f"{name}_conflicts": bill.calls["s3:PUT 412"],
    }
