"""What a training node does after boot: find the others, train with them, and, as their leader, publish and stand down.

    python -m model_code.node

reads all from the environment (`node_settings.py`). The nodes share two files in the run's folder: `members.json` says
who trains, `state.json` how far the run has come; whoever leads brings it further, and any node can take the lead.
Exit code 0: the run is over, or this node is about to go (a spot notice, its group, SIGTERM). 2: the environment is
wrong. What goes wrong with the run itself stands in `state.json`.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from obstore.exceptions import BaseError

from model_code import node_commands as commands
from model_code.epoch import train_epoch
from model_code.errors import InputError, RunFailedError, run_stage
from model_code.instance import DEFAULT_ENDPOINT, InstanceMetadata
from model_code.membership import require_even
from model_code.node_parts import TICK, NodeParts, assemble, count_gpus
from model_code.node_settings import read_settings
from model_code.progress import say
from model_code.report import read_report
from model_code.scaling_group import AwsError, make_clients
from model_code.serve_bundle import fetch_serve_files
from model_code.stage_process import StageProcess
from model_code.state import RunState, Stage

NOTICE_SECONDS = 5.0
"""Between two looks for a spot notice: as often as EC2 asks for."""
MOST_FAILURES = 3
"""Times that a stage of the leader's may fail before the run has failed."""
MOST_ASKED = 20
"""Times that AWS is asked for what ends a run."""
END_SECONDS = 600.0
"""How long a node that stands down waits to be terminated."""


def main(words: list[str]) -> None:
    """Do this node's part until the run is over or the node goes.

    Raises:
        InputError: the environment is wrong.
    """
    if words:
        raise InputError(f"model_code.node takes no words, got `{words[0]}`; it reads the environment")
    settings = read_settings(os.environ)
    metadata = InstanceMetadata(os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or DEFAULT_ENDPOINT)
    clients = make_clients(settings.region)
    poll = min(NOTICE_SECONDS, settings.poll_seconds)
    parts = assemble(settings, clients, metadata, gpus=count_gpus(), notice_poll=poll)
    parts.warm.begin()
    try:
        Node(parts).run()
    finally:
        parts.warm.close()


class Node:
    """One node and what it does next."""

    def __init__(self, parts: NodeParts) -> None:
        """Take its parts."""
        self.parts = parts
        self._duties: dict[Stage, Callable[[RunState], None]] = {
            "prepare": self.prepare,
            "training": self.train,
            "trained": self.compress,
            "compressed": self.release,
            "released": self.raise_serving,
        }
        self._failures = 0
        self._failing = False
        self._terminated = False  # by a signal

    def run(self) -> None:
        """Work until the run is over or this node goes; then stand down."""
        signal.signal(signal.SIGTERM, lambda *_: self._end())
        parts = self.parts
        if not self._over():
            parts.notice.start()
            try:
                # The others train on meanwhile: they are stopped only for a node that can start at once.
                while parts.batch and not parts.notice.reason and not parts.warm.settled.wait(TICK):
                    pass
                parts.lookout.start()
                while not parts.notice.reason and not self._over():
                    self._bearing(self.work)
            finally:
                parts.notice.stop()
                parts.lookout.stop()
        if parts.notice.reason:
            parts.leave()
        else:
            self._insisting(self.close_group)
        self.await_end()

    def work(self) -> None:
        """Do what is to be done next, if that is this node's; else wait until something happens."""
        parts = self.parts
        state = parts.state.read()
        parts.note(state)
        mine = parts.lookout.trains if state.stage == "training" else parts.lookout.leads
        if not mine or state.over:
            parts.wait(parts.settings.poll_seconds)
            return
        try:
            self._duties[state.stage](state)
        except (InputError, RunFailedError) as error:
            parts.state.move("failed", reason=str(error))

    def prepare(self, _: RunState) -> None:
        """Check the settings, write the shards where they are missing, resolve the config."""
        settings = self.parts.settings
        if self._stage(commands.check_command(settings)) is None:
            return
        shards = settings.source
        if not shards.startswith(("s3://", "file://")):
            written = self._stage(commands.data_command(settings))
            if written is None:
                return
            shards = str(written.result["uri"])
        resolved = self._stage(commands.config_command(settings, shards))
        if resolved is not None:
            batch = int(json.loads(resolved.printed)["train"]["global_batch"])
            require_even(settings.nodes, processes=self.parts.processes, global_batch=batch)
            self._move("training", shards=shards, global_batch=batch)

    def train(self, state: RunState) -> None:
        """Train with the others until the last step, or until other nodes are to train."""
        if train_epoch(self.parts, state, lambda: self._report(state)) == "trained":
            self._move("trained")

    def compress(self, _: RunState) -> None:
        """Let the others go, and let the smallest network that keeps its quality pass."""
        parts = self.parts
        parts.warm.close()  # nobody trains any more
        self._bearing(self.shrink)
        with tempfile.TemporaryDirectory(prefix="skylift-serve-") as folder:
            bundle = parts.settings.serve_bundle, parts.settings.serve_bundle_sha256
            files = fetch_serve_files(*bundle, Path(folder))
            if self._stage(commands.compress_command(parts.settings, str(files)), "refused") is not None:
                self._move("compressed")

    def shrink(self) -> None:
        """Have the group keep this node alone."""
        parts = self.parts
        parts.group.protect(parts.me, True)
        parts.group.set_size(1)

    def release(self, _: RunState) -> None:
        """Sign and publish it."""
        published = self._stage(commands.release_command(self.parts.settings))
        if published is not None:
            self._move("released", version=str(published.result["version"]))

    def raise_serving(self, _: RunState) -> None:
        """Have the serving group start its nodes."""
        parts, floor = self.parts, self.parts.settings.serve_floor
        raised = self._insisting(lambda: parts.serving.raise_floor(floor))
        self._move(
            "done", reason="" if raised else f"{parts.serving.name} could not be raised to {floor} nodes"
        )

    def close_group(self) -> None:
        """Set the own group to no nodes: the leader does, or who booted into a run that is over."""
        parts = self.parts
        state = parts.state.read()
        say(f"run {parts.settings.run_id} is {state.stage}{': ' if state.reason else ''}{state.reason}")
        members = parts.lookout.members
        if parts.lookout.leads or all(one.id != parts.me for one in members.members):
            self._bearing(
                lambda: parts.group.protect(parts.me, False)
            )  # a node that is going has no protection
            parts.group.set_size(0)

    def await_end(self) -> None:
        """Wait until the group terminates this node, and tell it that the node is ready to go."""
        parts, end = self.parts, time.monotonic() + END_SECONDS
        while not self._terminated and time.monotonic() < end:
            try:
                if parts.metadata.terminating():
                    self._bearing(lambda: parts.group.let_go(parts.me))
                    return
            except OSError as error:
                say(f"warning: the instance metadata service does not answer: {error}")
            parts.wait(TICK)

    def _stage(self, command: list[str], refusal: Stage = "failed") -> StageProcess | None:
        """Run a stage to its end; None: it failed, or this node is not the one to do it any more.

        Args:
            command: what to run.
            refusal: what the run is when the gate let nothing through.
        """
        parts = self.parts
        child = StageProcess(command, parts.woken)
        try:
            while child.running and parts.lookout.leads and not parts.notice.reason:
                self._report(RunState())
                parts.wait(TICK)
        finally:
            parts.end(child, commands.GRACE_SECONDS, hurry=lambda: False)
        if child.code == 0:
            return child
        if not parts.lookout.leads or parts.notice.reason:
            return None
        self._failures += 1
        if refusal == "refused" and child.code == 1 and self._refused():
            parts.state.move("refused", reason=child.reason)
        elif child.code == 2 or self._failures >= MOST_FAILURES:
            parts.state.move("failed", reason=child.reason)
        return None

    def _refused(self) -> bool:
        """Tell whether the gate's report says no: another failure leaves none, or an older one that passed."""
        try:
            return read_report(self.parts.settings.run)["passed"] is False
        except (FileNotFoundError, InputError, RunFailedError):
            return False

    def _move(self, stage: Stage, **facts: str | int) -> None:
        self._failures = 0
        after = self.parts.state.move(stage, **facts)
        self.parts.note(after)
        self.parts.lookout.suspect()  # who trains may change with it
        say(f"run {self.parts.settings.run_id}: {after.stage}")

    def _report(self, state: RunState) -> None:
        parts, now = self.parts, time.monotonic()
        if parts.lookout.leads and parts.metrics.due(now):
            self._bearing(lambda: parts.metrics.put(now, state.global_batch))

    def _over(self) -> bool:
        over = False

        def look() -> None:
            nonlocal over
            state = self.parts.state.read()
            self.parts.note(state)
            over = state.over

        self._bearing(look)
        return over

    def _end(self) -> None:
        self._terminated = True
        self.parts.notice.reason = self.parts.notice.reason or "SIGTERM"

    def _insisting(self, work: Callable[[], object]) -> bool:
        """Do something until AWS takes it; tell whether it did, after a good many times."""
        return any(self._bearing(work) for _ in range(MOST_ASKED))

    def _bearing(self, work: Callable[[], object]) -> bool:
        """Do something that AWS may refuse for a while; say so once, and tell whether it was done."""
        try:
            work()
            self._failing = False
            return True
        except (*AwsError, BaseError, OSError) as error:
            if not self._failing:
                say(f"warning: AWS does not answer: {error}; trying again")
            self._failing = True
            self.parts.wait(TICK)
            return False


if __name__ == "__main__":
    run_stage(main)
