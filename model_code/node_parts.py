"""What a training node consists of: who it is, where it looks and what it hears."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from obstore.exceptions import BaseError

from model_code.cloud_metrics import RunMetrics
from model_code.instance import InstanceMetadata
from model_code.lookout import Lookout, Wishes
from model_code.membership import usable
from model_code.node_settings import NodeSettings
from model_code.notice import Notice
from model_code.progress import say
from model_code.roster import Roster
from model_code.scaling_group import Clients, ScalingGroup
from model_code.stage_process import StageProcess
from model_code.state import RunState, StateFile
from model_code.warm_process import Warm

TICK = 1.0
"""Seconds that a node waits at most before it looks around: a signal to it does not wake it."""


@dataclass(kw_only=True)
class NodeParts:
    """One node of one run."""

    settings: NodeSettings
    """What its boot script says."""
    me: str
    """Its instance id."""
    processes: int
    """Trainers that it runs."""
    metadata: InstanceMetadata
    """Its machine's."""
    group: ScalingGroup
    """Its own group."""
    serving: ScalingGroup
    """The group that serves."""
    roster: Roster
    """`members.json`."""
    state: StateFile
    """`state.json`."""
    metrics: RunMetrics
    """CloudWatch's figures."""
    woken: threading.Event
    """Set whenever something has happened."""
    notice: Notice
    """Why it is about to go."""
    lookout: Lookout
    """Who is in the group."""
    warm: Warm
    """Starts trainers without their imports."""
    gone: bool = False
    """True: it took its leave."""
    batch: int = 0
    """Samples an optimizer step while the run trains, else 0: then nobody trains."""

    def wait(self, seconds: float) -> None:
        """Wait until something happens, some seconds at most."""
        self.woken.wait(seconds)
        self.woken.clear()

    def note(self, state: RunState) -> None:
        """Take what decides how many nodes can train."""
        self.batch = state.global_batch if state.stage == "training" else 0

    def end(self, child: StageProcess, grace: float, hurry: Callable[[], bool]) -> None:
        """Ask a stage to end, and kill it once its grace is over, or `hurry` says that it cannot end by itself."""
        until = time.monotonic() + grace
        if child.running and not hurry():
            child.ask()
        while child.running and not hurry() and time.monotonic() < until:
            self.wait(TICK)
        child.kill()

    def leave(self) -> None:
        """Take this node out of the group, so that all save and the others go on at once."""
        if self.gone:
            return
        say(f"leaving: {self.notice.reason}")
        self.gone = True
        self.lookout.retire()
        try:
            self.roster.leave(self.me)
        except (BaseError, OSError) as error:  # the trainers are stopped all the same
            say(f"warning: the others could not be told: {error}")


def assemble(
    settings: NodeSettings, clients: Clients, metadata: InstanceMetadata, *, gpus: int, notice_poll: float
) -> NodeParts:
    """Return a node's parts, nothing of it started.

    Args:
        settings: what its boot script says.
        clients: AWS's.
        metadata: its machine's.
        gpus: how many it has.
        notice_poll: seconds between two looks for a spot notice.
    """
    me, woken = metadata.instance_id(), threading.Event()
    roster, group = Roster(settings.run), ScalingGroup(clients, settings.group)
    processes = settings.processes or gpus or 1

    def fitting(nodes: int) -> int:
        if not parts.batch:
            return 0
        least = settings.min_nodes
        return usable(nodes, processes=processes, global_batch=parts.batch, least=least)

    wishes = Wishes(nodes=settings.nodes, wait_seconds=settings.wait_for_full_seconds, fitting=fitting)
    lookout = Lookout(
        me, roster, group.living, group.replace, wishes, poll=settings.poll_seconds, woken=woken
    )
    parts = NodeParts(
        settings=settings,
        me=me,
        processes=processes,
        metadata=metadata,
        group=group,
        serving=ScalingGroup(clients, settings.serve_group),
        roster=roster,
        state=StateFile(settings.run, me),
        metrics=RunMetrics(clients.cloudwatch, settings.metrics_namespace, settings.run, settings.run_id),
        woken=woken,
        notice=Notice(metadata, poll=notice_poll, woken=woken),
        lookout=lookout,
        warm=Warm(quiet(processes)),
    )
    return parts


def quiet(processes: int) -> dict[str, str]:
    """Return the trainers' variables: their share of the cores, and no C++ stack traces.

    Those of lost connections say nothing that the trainers do not say in a line.

    Args:
        processes: trainers on this machine.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // processes)
    return {"OMP_NUM_THREADS": str(threads), "TORCH_CPP_LOG_LEVEL": "ERROR"}


def count_gpus(devices: Path = Path("/dev")) -> int:
    """Return how many NVIDIA GPUs this machine has, without loading anything of theirs."""
    return sum(1 for path in devices.glob("nvidia*") if path.name.removeprefix("nvidia").isdigit())
