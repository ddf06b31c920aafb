"""Who trains: the nodes of one group, in the order that makes the oldest their leader. Pure; see `roster.py`.

`members.json` says it to all nodes. Its epoch names the rendezvous: it rises whenever other nodes train than before,
and whenever the same ones start again.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace

from model_code.errors import InputError
from model_code.typed_json import build, parse


@dataclass(frozen=True, kw_only=True, order=True)
class Member:
    """One node. Sorted by age, then by id: the first one leads."""

    launched: str
    """When EC2 launched it, UTC, ISO 8601: these sort as time does."""
    id: str
    """The instance's id."""
    address: str
    """Its private IPv4 address."""


@dataclass(frozen=True, kw_only=True)
class Living:
    """What AWS says of a group right now."""

    members: tuple[Member, ...]
    """Instances that are in service and run, sorted."""
    running: frozenset[str]
    """Ids of all instances that still run, those about to go too."""


@dataclass(frozen=True, kw_only=True)
class Members:
    """What `members.json` says."""

    epoch: int = 0
    """Names the rendezvous; rises with every start of the training."""
    members: tuple[Member, ...] = ()
    """The nodes, sorted: the first leads."""
    active: int = 0
    """How many of them train: the first ones. 0: all wait."""
    broken: int = 0
    """Newest epoch that began because a node was gone or had failed: ranks of earlier ones cannot save any more."""
    here: tuple[str, ...] = ()
    """Ids of the nodes whose program runs: an instance is in service minutes before that, and after its leave."""
    called: tuple[str, ...] = ()
    """Ids of the nodes that are asked for a sign of life: something broke, and they have not read this file since."""
    restarts: int = 0
    """Failed starts since the last checkpoint that was new."""
    step: int = 0
    """Step of the newest checkpoint at the last failure."""

    @property
    def trainers(self) -> tuple[Member, ...]:
        """The nodes that train."""
        return self.members[: self.active]

    @property
    def leader(self) -> str:
        """Id of the leading node; empty: there is none."""
        return self.members[0].id if self.members else ""

    def encoded(self) -> bytes:
        """Return it as JSON."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()


def decoded(content: bytes, uri: str) -> Members:
    """Return what a `members.json` says.

    Raises:
        InputError: this version did not write it.
    """
    members: Members = build(Members, parse(content), uri)
    return members


def present(before: Members, living: Living) -> tuple[Member, ...]:
    """Return the living nodes whose program runs."""
    return tuple(one for one in sorted(living.members) if one.id in before.here)


def seen(before: Members, living: Living, active: int) -> Members:
    """Return the members after a look at the group.

    Args:
        before: as they were.
        living: what AWS says.
        active: how many of those present are to train.
    """
    members = present(before, living)
    changed = members[:active] != before.trainers
    lost = {one.id for one in before.trainers} - {one.id for one in members}
    epoch = before.epoch + changed
    # Who is about to go saves with the others, if it lives: a machine without power is on its way out as well.
    leaving = sorted((lost & living.running & set(before.here)) - set(before.called))
    return replace(
        before,
        members=members,
        active=active,
        epoch=epoch,
        broken=epoch if lost - living.running else before.broken,
        here=tuple(one for one in before.here if one in living.running),
        called=(*(one for one in before.called if one in living.running), *leaving),
    )


def without(before: Members, node: str) -> Members:
    """Return the members after a node's leave: all save the same step and stop, the others then go on by themselves."""
    here = tuple(one for one in before.here if one != node)
    called = tuple(one for one in before.called if one != node)
    if all(one.id != node for one in before.members):
        return replace(before, here=here, called=called)
    return replace(
        before,
        members=tuple(one for one in before.members if one.id != node),
        active=0,
        epoch=before.epoch + (before.active > 0),
        here=here,
        called=called,
    )


def heard(before: Members, here: Collection[str], answered: Collection[str]) -> Members:
    """Return the members once the nodes' own files were looked at.

    Args:
        before: as they were.
        here: ids of the nodes whose program runs, as they say themselves.
        answered: those that gave a sign of life.
    """
    called = tuple(
        one for one in before.called if one in here and one not in answered
    )  # who left is not waited for
    return replace(before, here=tuple(sorted(here)), called=called)


def called(before: Members, node: str) -> Members:
    """Return the members after a node that AWS says lives was asked whether it does."""
    if node in before.called or node not in before.here:
        return before
    return replace(before, called=(*before.called, node))


def silenced(before: Members, nodes: frozenset[str]) -> Members:
    """Return the members without nodes that were called and did not answer: their ranks cannot save any more."""
    gone = nodes & set(before.called)
    if not gone:
        return before
    trained = any(one.id in gone for one in before.trainers)
    epoch = before.epoch + trained
    waited_for = trained or bool(gone - {one.id for one in before.members})  # it was to save with the others
    return replace(
        before,
        members=tuple(one for one in before.members if one.id not in gone),
        active=0 if trained else before.active,
        epoch=epoch,
        broken=epoch if waited_for else before.broken,
        here=tuple(one for one in before.here if one not in gone),
        called=tuple(one for one in before.called if one not in gone),
    )


def again(before: Members, epoch: int, step: int) -> Members:
    """Return the members after a failed start: the same nodes, all called, another epoch; unchanged where somebody was
    faster.

    Args:
        before: as they are.
        epoch: the one that failed.
        step: of the newest checkpoint.
    """
    if before.epoch != epoch:
        return before
    restarts = 1 if step > before.step else before.restarts + 1
    return replace(
        before,
        epoch=epoch + 1,
        broken=epoch + 1,
        called=before.here,
        restarts=restarts,
        step=max(step, before.step),
    )


def usable(nodes: int, *, processes: int, global_batch: int, least: int) -> int:
    """Return how many of some nodes can share a batch evenly: the most that can; 0 where fewer than `least` could.

    Args:
        nodes: how many there are.
        processes: training processes a node.
        global_batch: samples an optimizer step, the same whatever the number of nodes.
        least: fewest nodes that may train.
    """
    fitting = [count for count in range(max(1, least), nodes + 1) if global_batch % (count * processes) == 0]
    return max(fitting, default=0)


def require_even(nodes: int, *, processes: int, global_batch: int) -> None:
    """Refuse a batch that the full group cannot share evenly: some of its nodes would be paid for, and wait.

    Args:
        nodes: of the full group.
        processes: training processes a node.
        global_batch: samples an optimizer step.

    Raises:
        InputError: there is a remainder.
    """
    ranks = nodes * processes
    if global_batch % ranks:
        raise InputError(
            f"train.global_batch must be a multiple of the group's {ranks} training processes ({nodes} nodes of "
            f"{processes}), got {global_batch}; for example train.global_batch={-(-global_batch // ranks) * ranks}"
        )
