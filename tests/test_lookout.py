"""Who asks AWS, and when: the leader all along, another one only where the leader is gone; on a clock of our own."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import NoCredentialsError

from model_code.lookout import LEAVING_POLLS, SILENT_POLLS, STALE_POLLS, Lookout, Wishes
from model_code.membership import Living, Member, again
from model_code.roster import Roster

POLL = 5.0


class Cloud:
    """An AWS that says who lives, and counts who asks."""

    def __init__(self, nodes: int) -> None:
        self.ids = [f"i-{number:03d}" for number in range(nodes)]
        self.running: set[str] = set()  # about to go
        self.asked: Counter[str] = Counter()
        self.replaced: list[str] = []
        self.failing = False

    def living(self, asker: str) -> Callable[[], Living]:
        """Return the question of one node."""

        def ask() -> Living:
            self.asked[asker] += 1
            if self.failing:
                raise NoCredentialsError
            members = tuple(Member(launched="t", id=one, address=one) for one in self.ids)
            return Living(members=members, running=frozenset(self.ids) | self.running)

        return ask


def everyone(nodes: int) -> int:
    """Let all train."""
    return nodes


def lookout(run: str, cloud: Cloud, me: str, nodes: int, wait: float = 0) -> Lookout:
    """Return one node's, not started."""
    wishes = Wishes(nodes=nodes, wait_seconds=wait, fitting=everyone)
    return Lookout(
        me, Roster(run), cloud.living(me), cloud.replaced.append, wishes, poll=POLL, woken=threading.Event()
    )


class Clock:
    """Seconds that pass when a test says so, while every node looks as often as it would."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self._chance = random.Random(0)

    def run(self, seconds: float, *nodes: Lookout) -> None:
        """Let some time pass: each node looks once a poll, in any order."""
        for _ in range(round(seconds / POLL)):
            self.now += POLL
            order = list(nodes)
            self._chance.shuffle(order)
            for node in order:
                node.look(self.now)


@pytest.fixture
def run(tmp_path: Path) -> str:
    """A run's folder."""
    return tmp_path.as_uri()


def test_of_fifty_nodes_one_asks_aws(run: str) -> None:
    """In five minutes of steady state: 60 looks of the leader, none of the 49 others; and nobody is stopped by it."""
    cloud, clock = Cloud(50), Clock()
    nodes = [lookout(run, cloud, one, 50) for one in cloud.ids]
    clock.run(12 * POLL, *nodes)
    first = Roster(run).read()
    assert first is not None
    assert (first.leader, first.active) == ("i-000", 50)
    cloud.asked.clear()
    clock.run(300, *nodes)
    assert cloud.asked == {"i-000": 60}
    after = Roster(run).read()
    assert after is not None
    assert after == first  # a sign of life is no news: nothing of the list is written, or read, again
    assert all(node.members.members == after.members for node in nodes)


def test_when_the_leader_vanishes_the_next_in_line_takes_over(run: str) -> None:
    """Fifty nodes see it stale: one of them asks, and leads; the others hear of it from the file."""
    cloud, clock = Cloud(50), Clock()
    nodes = [lookout(run, cloud, one, 50) for one in cloud.ids]
    clock.run(12 * POLL, *nodes)
    before = Roster(run).read()
    cloud.ids.remove("i-000")
    cloud.asked.clear()
    clock.run((STALE_POLLS + 4) * POLL, *nodes[1:])
    after = Roster(run).read()
    assert before is not None
    assert after is not None
    assert (after.leader, after.active, after.epoch, after.broken) == (
        "i-001",
        49,
        before.epoch + 1,
        before.epoch + 1,
    )
    assert set(cloud.asked) == {"i-001"}
    assert [node.leads for node in nodes[1:]] == [True] + [False] * 48


def test_a_node_whose_training_broke_does_not_wait_for_the_file_to_get_old(run: str) -> None:
    """The next in line asks at its next look."""
    cloud, clock = Cloud(3), Clock()
    nodes = [lookout(run, cloud, one, 3) for one in cloud.ids]
    clock.run(6 * POLL, *nodes)
    cloud.ids.remove("i-000")
    cloud.asked.clear()
    for node in nodes[1:]:
        node.suspect()
    clock.run(2 * POLL, *nodes[1:])
    assert nodes[1].leads
    assert set(cloud.asked) == {"i-001"}


def test_a_suspicion_against_a_living_leader_changes_nothing(run: str) -> None:
    """Who asked then waits again."""
    cloud, clock = Cloud(2), Clock()
    nodes = [lookout(run, cloud, one, 2) for one in cloud.ids]
    clock.run(6 * POLL, *nodes)
    before = nodes[1].members
    nodes[1].suspect()
    clock.run(4 * POLL, *nodes)
    assert nodes[0].leads
    assert nodes[1].members.epoch == before.epoch
    assert cloud.asked["i-001"] <= 3


def test_the_group_waits_for_all_as_long_as_it_is_told(run: str) -> None:
    """Then it trains with those that are there; a late one joins, and nobody waits again for a full group."""
    cloud, clock = Cloud(2), Clock()
    nodes = [lookout(run, cloud, one, 3, wait=60) for one in cloud.ids]
    clock.run(50, *nodes)
    assert nodes[0].members.active == 0
    clock.run(40, *nodes)
    assert nodes[0].members.active == 2
    cloud.ids.append("i-002")
    nodes.append(lookout(run, cloud, "i-002", 3, wait=60))
    clock.run(2 * POLL, *nodes)
    assert (nodes[0].members.active, nodes[0].leads) == (3, True)


def test_a_node_that_left_is_not_taken_in_again_and_the_next_leads(run: str) -> None:
    """It is in service all the while."""
    cloud, clock = Cloud(3), Clock()
    nodes = [lookout(run, cloud, one, 3) for one in cloud.ids]
    clock.run(6 * POLL, *nodes)
    Roster(run).leave("i-000")
    clock.run(2 * POLL, *nodes[1:])
    assert nodes[1].leads
    assert [one.id for one in nodes[1].members.trainers] == ["i-001", "i-002"]


def test_a_node_that_hangs_is_taken_out_and_replaced(run: str) -> None:
    """AWS says that it runs. A start that fails calls all; who does not answer is reported until it is off."""
    cloud, clock = Cloud(3), Clock()
    nodes = [lookout(run, cloud, one, 3) for one in cloud.ids]
    clock.run(6 * POLL, *nodes)
    first = nodes[0].members
    Roster(run).change(lambda before: again(before, before.epoch, 0))
    clock.run(3 * POLL, *nodes[:2])
    assert nodes[0].members.called == ("i-002",)
    assert nodes[0].members.active == 3  # it may be slow
    clock.run((SILENT_POLLS + 1) * POLL, *nodes[:2])
    after = nodes[0].members
    assert ([one.id for one in after.trainers], after.called, after.here) == (
        ["i-000", "i-001"],
        (),
        ("i-000", "i-001"),
    )
    assert after.broken >= first.epoch + 2  # ranks that wait for it cannot save
    assert set(cloud.replaced) == {"i-002"}
    told = len(cloud.replaced)
    clock.run(2 * POLL, *nodes[:2])
    assert len(cloud.replaced) == told + 2  # until it is off
    cloud.ids.remove("i-002")
    clock.run(2 * POLL, *nodes[:2])
    assert len(cloud.replaced) == told + 2


def test_a_machine_without_power_is_not_waited_for_while_its_group_lets_it_go(run: str) -> None:
    """`Terminating:Wait` of a node that cannot save any more: those that wait for it are ended after three looks."""
    cloud, clock = Cloud(2), Clock()
    nodes = [lookout(run, cloud, one, 2) for one in cloud.ids]
    clock.run(6 * POLL, *nodes)
    cloud.ids.remove("i-001")
    cloud.running.add("i-001")
    clock.run(POLL, nodes[0])
    first = nodes[0].members
    assert (first.called, first.broken) == (("i-001",), 0)
    clock.run((LEAVING_POLLS + 2) * POLL, nodes[0])
    after = nodes[0].members
    assert (after.epoch, after.broken, after.here) == (first.epoch, first.epoch, ("i-000",))


def test_a_node_that_leaves_in_order_is_waited_for_until_it_has_saved(run: str) -> None:
    """It took its leave: it is not called any more, and nobody is ended."""
    cloud, clock = Cloud(2), Clock()
    nodes = [lookout(run, cloud, one, 2) for one in cloud.ids]
    clock.run(6 * POLL, *nodes)
    cloud.ids.remove("i-001")
    cloud.running.add("i-001")
    clock.run(POLL, nodes[0])
    Roster(run).leave("i-001")
    clock.run(8 * POLL, nodes[0])
    assert (nodes[0].members.broken, nodes[0].members.called, cloud.replaced) == (0, (), [])


def test_a_node_that_was_slow_to_answer_comes_back(run: str) -> None:
    """It is taken in again, and nobody reports it any more."""
    cloud, clock = Cloud(2), Clock()
    nodes = [lookout(run, cloud, one, 2) for one in cloud.ids]
    clock.run(6 * POLL, *nodes)
    Roster(run).change(lambda before: again(before, before.epoch, 0))
    clock.run((SILENT_POLLS + 4) * POLL, nodes[0])
    assert [one.id for one in nodes[0].members.members] == ["i-000"]
    clock.run(3 * POLL, *nodes)
    cloud.replaced.clear()
    clock.run(3 * POLL, *nodes)
    assert nodes[0].members.active == 2
    assert cloud.replaced == []


def test_a_leader_that_hangs_is_succeeded_though_aws_says_that_it_runs(run: str) -> None:
    """It gives no sign of life: it is called, and does not answer. Of ten nodes one finds out."""
    cloud, clock = Cloud(10), Clock()
    nodes = [lookout(run, cloud, one, 10) for one in cloud.ids]
    clock.run(12 * POLL, *nodes)
    before = nodes[1].members
    cloud.asked.clear()
    clock.run((STALE_POLLS + SILENT_POLLS + 6) * POLL, *nodes[1:])
    after = nodes[1].members
    assert (after.leader, after.active) == ("i-001", 9)
    assert after.broken > before.epoch
    assert set(cloud.replaced) == {"i-000"}
    assert set(cloud.asked) == {"i-001"}


def test_thirty_seconds_without_credentials_end_nothing(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said once; the group stays as it is, and is looked at again as soon as AWS answers."""
    cloud = Cloud(1)
    wishes = Wishes(nodes=1, wait_seconds=0, fitting=everyone)
    woken = threading.Event()
    node = Lookout(
        "i-000", Roster(run), cloud.living("i-000"), cloud.replaced.append, wishes, poll=0.02, woken=woken
    )
    node.start()
    while not node.members.active:
        assert woken.wait(30)
    cloud.failing, asked = True, cloud.asked["i-000"]
    while cloud.asked["i-000"] < asked + 10:
        time.sleep(0.01)
    assert (node.members.active, node.leads) == (1, True)
    cloud.failing = False
    pulse = Roster(run).pulse()
    while Roster(run).pulse() == pulse:
        time.sleep(0.01)
    node.stop()
    said = capsys.readouterr().err
    assert said.count("warning: the group cannot be looked at: Unable to locate credentials") == 1
