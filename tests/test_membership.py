"""Who leads, who trains, when an epoch begins, and whether the one before could end in order."""

from __future__ import annotations

import random
import re

import pytest

from model_code.errors import InputError
from model_code.membership import (
    Living,
    Member,
    Members,
    again,
    called,
    decoded,
    heard,
    present,
    require_even,
    seen,
    silenced,
    usable,
    without,
)


def member(number: int, second: int | None = None) -> Member:
    """Return a node, launched at a second of its own or at a given one."""
    launched = f"2026-11-24T10:00:{second if second is not None else number:02d}+00:00"
    return Member(launched=launched, id=f"i-{number}", address=f"10.0.0.{number}")


def living(*numbers: int, also_running: tuple[str, ...] = ()) -> Living:
    """Return what AWS says of some nodes in service, and of others that only run."""
    members = tuple(member(number) for number in numbers)
    return Living(members=members, running=frozenset([*(one.id for one in members), *also_running]))


def arrived(before: Members, *nodes: str) -> Members:
    """Return the members once nodes' programs run, or have answered a call."""
    return heard(before, {*before.here, *nodes}, nodes)


def group(*numbers: int, active: int | None = None) -> Members:
    """Return a group in its first epoch, all of whose programs run."""
    before = Members(here=tuple(f"i-{number}" for number in numbers))
    return seen(before, living(*numbers), len(numbers) if active is None else active)


def test_the_oldest_leads_and_the_lowest_id_of_equals() -> None:
    """In whatever order AWS lists them."""
    nodes = [member(3, second=1), member(2, second=1), member(1, second=5), member(4, second=9)]
    random.Random(1).shuffle(nodes)
    answer = Living(members=tuple(nodes), running=frozenset(one.id for one in nodes))
    members = seen(Members(here=tuple(one.id for one in nodes)), answer, 4)
    assert [one.id for one in members.members] == ["i-2", "i-3", "i-1", "i-4"]
    assert members.leader == "i-2"


def test_an_instance_counts_once_its_program_runs() -> None:
    """It is in service minutes before that: nobody waits for it."""
    before = group(1)
    assert seen(before, living(1, 2), 1) == before
    after = seen(arrived(before, "i-2"), living(1, 2), 2)
    assert [one.id for one in after.trainers] == ["i-1", "i-2"]
    assert (after.epoch, after.broken) == (before.epoch + 1, before.broken)


def test_a_newcomer_begins_an_epoch_in_order_and_a_lost_node_breaks_one() -> None:
    """Who waits for a lost node cannot save; who makes room for a new one can."""
    first = group(1, 2)
    assert (first.epoch, first.broken) == (1, 0)
    lost = seen(first, living(1), 1)
    assert (lost.epoch, lost.broken, lost.here) == (2, 2, ("i-1",))
    joined = seen(arrived(lost, "i-3"), living(1, 3), 2)
    assert (joined.epoch, joined.broken) == (3, 2)


def test_a_node_that_is_about_to_go_but_runs_can_still_save() -> None:
    """The group takes it out of service first: `Terminating:Wait`."""
    after = seen(group(1, 2), living(1, also_running=("i-2",)), 1)
    assert (after.epoch, after.broken, after.called) == (2, 0, ("i-2",))
    assert seen(after, living(1, also_running=("i-2",)), 1) == after
    saves = arrived(after, "i-2")
    assert (saves.epoch, saves.broken, saves.called) == (2, 0, ())


def test_a_machine_without_power_is_not_waited_for_though_its_group_has_not_let_it_go() -> None:
    """It does not answer: what waits for it in the epoch before is ended, the new epoch goes on."""
    after = seen(group(1, 2), living(1, also_running=("i-2",)), 1)
    gone = silenced(after, frozenset({"i-2"}))
    assert (gone.epoch, gone.broken, gone.active, gone.called, gone.here) == (2, 2, 1, (), ("i-1",))


def test_nothing_new_is_no_new_epoch() -> None:
    """Nor is a node more that does not train."""
    before = group(1, 2)
    assert seen(before, living(2, 1), 2) == before
    waiting = seen(arrived(before, "i-3"), living(1, 2, 3), 2)
    assert (waiting.epoch, len(waiting.members), waiting.trainers) == (1, 3, before.trainers)


def test_a_leave_stops_all_in_order_and_is_not_forgotten() -> None:
    """The leaver still runs and is still in service: it is not taken in again. The next one leads."""
    left = without(group(1, 2, 3), "i-1")
    assert (left.epoch, left.active, left.broken, left.leader) == (2, 0, 0, "i-2")
    after = seen(left, living(1, 2, 3), 2)
    assert [one.id for one in after.trainers] == ["i-2", "i-3"]
    assert (after.epoch, after.broken) == (3, 0)
    assert without(after, "i-1") == after
    assert [one.id for one in present(arrived(after, "i-1"), living(1, 2, 3))] == ["i-1", "i-2", "i-3"]


def test_failed_starts_are_counted_until_there_is_a_new_checkpoint() -> None:
    """The same nodes, another epoch, which the one before cannot end in order; the slower of two changes nothing."""
    members = group(1, 2)
    for count in (1, 2, 3):
        members = again(members, members.epoch, step=0)
        assert (members.epoch, members.broken, members.restarts) == (1 + count, 1 + count, count)
    assert again(members, 1, step=50) == members
    moved = again(members, members.epoch, step=50)
    assert (moved.restarts, moved.step) == (1, 50)


def test_who_is_called_answers_or_is_taken_out() -> None:
    """A start that fails calls all. Without a trainer the epoch is over; who only waits is no loss to it."""
    members = again(group(1, 2), 1, step=0)
    assert members.called == ("i-1", "i-2")
    answered = arrived(members, "i-1")
    assert (answered.called, answered.here) == (("i-2",), members.here)
    assert silenced(answered, frozenset({"i-1"})) == answered  # it has answered meanwhile
    gone = silenced(answered, frozenset({"i-2"}))
    assert (gone.here, gone.called, gone.active, gone.epoch, gone.broken) == (("i-1",), (), 0, 3, 3)
    assert [one.id for one in gone.members] == ["i-1"]
    waits = called(seen(Members(here=("i-1", "i-2", "i-3")), living(1, 2, 3), 2), "i-3")
    assert waits.called == ("i-3",)
    assert called(waits, "i-3") == waits
    assert called(waits, "i-9") == waits  # its program does not run
    after = silenced(waits, frozenset({"i-3"}))
    assert (after.epoch, after.active, after.broken, after.here) == (waits.epoch, 2, 0, ("i-1", "i-2"))
    assert without(waits, "i-3").called == ()
    assert seen(waits, living(1, 2), 2).called == ()


@pytest.mark.parametrize(
    ("nodes", "processes", "batch", "least", "count"),
    [
        (4, 1, 64, 1, 4),
        (3, 1, 64, 1, 2),
        (3, 8, 64, 1, 2),
        (3, 1, 63, 1, 3),
        (3, 1, 64, 3, 0),
        (1, 1, 64, 2, 0),
        (0, 1, 64, 1, 0),
        (7, 1, 5, 1, 5),
        (2, 8, 4, 1, 0),
    ],
)
def test_as_many_nodes_train_as_share_the_batch_evenly(
    nodes: int, processes: int, batch: int, least: int, count: int
) -> None:
    """Three nodes cannot share 64 samples: two train, one waits."""
    assert usable(nodes, processes=processes, global_batch=batch, least=least) == count


def test_a_batch_that_the_full_group_cannot_share_is_refused() -> None:
    """Before anybody trains; with fewer nodes than the full group, some may wait."""
    require_even(4, processes=8, global_batch=64)
    wanted = (
        "train.global_batch must be a multiple of the group's 24 training processes (3 nodes of 8), got 64; "
        "for example train.global_batch=72"
    )
    with pytest.raises(InputError, match=re.escape(wanted)):
        require_even(3, processes=8, global_batch=64)


def test_the_file_comes_back_as_it_was_written() -> None:
    """And what another version wrote is refused."""
    members = again(group(1, 2), 1, step=7)
    assert decoded(members.encoded(), "x") == members
    with pytest.raises(InputError, match=r"unknown field `x\.colour`"):
        decoded(b'{"colour": 1}', "x")
