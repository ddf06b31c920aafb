"""One epoch of a group on one of its nodes: torchrun, watched until it ends, other nodes train, or this one goes.

Plain torchrun hangs for minutes when the host of its rendezvous vanishes: here `members.json` decides. A new epoch ends
the old one: trainers are asked to stop (one that hears it is enough, all ranks then save the same step), or killed
where one of them is gone already, since those that are left would wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from model_code import store
from model_code.checkpoint.files import FOLDER, newest_step
from model_code.lookout import Lookout
from model_code.membership import Members, again
from model_code.node_commands import GRACE_SECONDS, train_command
from model_code.node_parts import TICK, NodeParts, quiet
from model_code.progress import say
from model_code.stage_process import StageProcess
from model_code.state import RunState

MOST_RESTARTS = 6
"""Failed starts in a row, without a new checkpoint between them, after which the run has failed."""
LONGEST_BACKOFF = 60.0
RESULT = "trained.json"
Outcome = Literal["trained", "failed", "changed"]


def train_epoch(parts: NodeParts, state: RunState, report: Callable[[], None]) -> Outcome:
    """Train with the others of this epoch.

    Args:
        parts: this node.
        state: the run's, with its shards.
        report: called all along, for the leader's figures.

    Returns:
        `trained`: to the last step. `failed`: for good, and `state.json` says why. `changed`: it goes on in another
        epoch, or without this node.
    """
    members = parts.lookout.members
    if all(one.id != parts.me for one in members.trainers) or not _backed_off(parts, members):
        return "changed"
    names = ", ".join(one.id for one in members.trainers)
    say(f"epoch {members.epoch}: training on {members.active} nodes ({names}), led by {members.leader}")
    command = train_command(parts.settings, members, parts.me, parts.processes, state.shards)
    child = StageProcess(command, parts.woken, quiet(parts.processes), parts.warm)
    try:
        while child.running and _goes_on(parts, members.epoch):
            report()
            parts.wait(TICK)
        if parts.notice.reason:
            child.ask()  # first: it leaves two minutes, and the store may be slow
            parts.leave()
    finally:
        stopped = child.running
        parts.end(child, GRACE_SECONDS, lambda: members.epoch < parts.lookout.members.broken)
    return "changed" if stopped else _judged(parts, child, members)


def _goes_on(parts: NodeParts, epoch: int) -> bool:
    return parts.lookout.members.epoch == epoch and not parts.notice.reason


def _judged(parts: NodeParts, child: StageProcess, members: Members) -> Outcome:
    """Say what became of trainers that ended by themselves."""
    if store.exists(store.join(parts.settings.run, RESULT)):
        return "trained"
    if child.code == 2:
        parts.state.move("failed", reason=child.reason)
        return "failed"
    # Others may have been asked to stop, or be gone: then another epoch is about to be written.
    parts.lookout.suspect()
    if _changes(parts, members.epoch, _patience(parts.lookout, parts.settings.poll_seconds)):
        return "changed"
    step = newest_step(store.join(parts.settings.run, FOLDER))
    after = parts.roster.change(lambda before: again(before, members.epoch, step))
    if after.restarts > MOST_RESTARTS:
        reason = f"training failed {after.restarts} times after step {after.step}: {child.reason}"
        parts.state.move("failed", reason=reason)
        return "failed"
    say(f"epoch {members.epoch} ended too early ({child.reason}); starting again")
    _changes(parts, members.epoch, _patience(parts.lookout, parts.settings.poll_seconds))
    return "changed"


def _patience(lookout: Lookout, poll: float) -> float:
    """Return the seconds that a node waits for somebody to write the next epoch before it does so itself."""
    return 1.5 * poll if lookout.leads else 4 * poll


def _changes(parts: NodeParts, epoch: int, seconds: float) -> bool:
    """Wait until an epoch is over, some seconds at most; tell whether it is."""
    end = time.monotonic() + seconds
    while _goes_on(parts, epoch) and (left := end - time.monotonic()) > 0:
        parts.wait(min(left, TICK))
    return not _goes_on(parts, epoch)


def _backed_off(parts: NodeParts, members: Members) -> bool:
    """Wait before a start after failed ones, longer each time; tell whether the epoch is still the same."""
    seconds = min(2.0 ** (members.restarts - 1), LONGEST_BACKOFF) if members.restarts else 0.0
    return not _changes(parts, members.epoch, seconds)
