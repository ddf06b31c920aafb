"""What happens to nodes that train: they vanish, are taken back, hang, slow down, run out of disk."""

from __future__ import annotations

import time
from dataclasses import replace

from infra.rehearsal.faults.disturbed import Disturbed, disturb, goes_on, loses_nothing, resumes
from infra.rehearsal.faults.fault import Fault
from infra.rehearsal.faults.run import Consoles
from infra.rehearsal.faults.scene import Scene
from infra.rehearsal.faults.waiting import pause, until

RESUMES = "goes on by itself; at most one checkpoint interval is lost"
NOTICE_SECONDS = 120.0
"""Between EC2's notice and the end of a spot instance."""
SLOWNESS = 3.0
NOTICED_SECONDS = 120.0
"""A slow node is named within so long: 20 steps at a third of the pace, on two busy cores."""
FULL_SECONDS = 20.0
"""How long a disk stays full: longer than it takes to the next checkpoint."""


def leader_killed(scene: Scene) -> Disturbed:
    """Cut the leader's power."""
    return disturb(scene, lambda _: scene.machine(scene.run.trainers[0]).vanish())


def follower_killed(scene: Scene) -> Disturbed:
    """Cut the other one's power."""
    return disturb(scene, lambda _: scene.machine(scene.run.trainers[-1]).vanish())


def both_killed(scene: Scene) -> Disturbed:
    """Cut the power of all."""

    def harm(_: object) -> None:
        for machine in [scene.machine(one) for one in scene.run.trainers]:
            machine.vanish()

    return disturb(scene, harm)


def spot_notice(scene: Scene) -> Disturbed:
    """Take a node back as EC2 does: notice in its metadata, its end two minutes later.

    All ranks save the step that they stop at, so that this very step is where the others go on.
    """
    victim = scene.run.trainers[-1]

    def look(_: Consoles, found: Disturbed) -> Disturbed:
        # No step is made after the save that a stop asks for. It is told from others by its step: only a stop saves
        # between two checkpoints.
        asked = found.resumed is not None and found.resumed % found.every
        what = f"stopped and saved at step {found.resumed}" if asked else ""
        wrong = (
            ""
            if asked
            else "it went on after an ordinary checkpoint, whether steps were made since is not known"
        )
        return replace(found, done=float(found.resumed or 0), what=what, wrong=wrong)

    return disturb(scene, lambda _: scene.world.runner.interrupt(victim, NOTICE_SECONDS), look=look)


def node_hangs(scene: Scene) -> Disturbed:
    """Stop all processes of a node: its connections stay open, and nothing answers."""
    victim = scene.run.trainers[-1]
    return disturb(scene, lambda _: scene.machine(victim).freeze())


def node_slow(scene: Scene) -> Disturbed:
    """Let a node do a third of what it could, until the log names it."""
    victim = scene.run.trainers[-1]
    machine = scene.machine(victim)
    named = [""]

    def over(consoles: Consoles) -> None:
        try:
            until(lambda: consoles.has("is a straggler"), "node named as a straggler", NOTICED_SECONDS)
        finally:
            machine.full_speed()
        hosts = [row["host"] for row in scene.run.rows("incidents.jsonl") if row["kind"] == "straggler"]
        named[0] = hosts[-1]

    def look(_: Consoles, found: Disturbed) -> Disturbed:
        name = f"ip-{machine.address.replace('.', '-')}"
        wrong = "" if named[0].startswith(name) else f"{named[0]} was named, {name} was slow"
        return replace(found, what=f"named: {named[0]}, after {time.monotonic() - begun:.0f} s", wrong=wrong)

    begun = time.monotonic()

    def harm(_: object) -> None:
        nonlocal begun
        begun = time.monotonic()
        machine.slow(SLOWNESS)

    return disturb(scene, harm, interrupts=False, over=over, look=look)


def disk_full(scene: Scene) -> Disturbed:
    """Let nothing more fit on a node's disk, for longer than a checkpoint's interval."""
    machine = scene.machine(scene.run.trainers[-1])

    def over(consoles: Consoles) -> None:
        try:
            until(lambda: consoles.has("was not saved"), "checkpoint that could not be saved")
            pause(FULL_SECONDS)
        finally:
            machine.free_disk()

    def look(consoles: Consoles, found: Disturbed) -> Disturbed:
        missed = sum(text.count("was not saved") for text in consoles.said().values())
        return replace(found, what=f"{missed} checkpoints could not be saved, said; then they could again")

    return disturb(scene, lambda _: machine.fill_disk(), interrupts=False, over=over, look=look)


FAULTS = (
    Fault(
        name="follower-killed",
        title="training follower killed",
        stage="training",
        promise=RESUMES,
        inject=follower_killed,
        verdict=resumes,
        quick=True,
        steps=120,
    ),
    Fault(
        name="leader-killed",
        title="training leader killed",
        stage="training",
        promise=RESUMES,
        inject=leader_killed,
        verdict=resumes,
        steps=120,
    ),
    Fault(
        name="both-killed",
        title="both training nodes killed",
        stage="training",
        promise=RESUMES,
        inject=both_killed,
        verdict=resumes,
        steps=120,
    ),
    Fault(
        name="spot-notice",
        title="spot notice to a training node",
        stage="training",
        promise="goes on by itself; no step is lost",
        inject=spot_notice,
        verdict=loses_nothing,
        quick=False,  # it really has its two minutes
        steps=120,
    ),
    Fault(
        name="node-hangs",
        title="a training node hangs (SIGSTOP)",
        stage="training",
        promise=RESUMES,
        inject=node_hangs,
        verdict=resumes,
        steps=120,
    ),
    Fault(
        name="node-slow",
        title="a training node 3 times slower",
        stage="training",
        promise="named in the log; the training goes on",
        inject=node_slow,
        verdict=goes_on,
        steps=120,
    ),
    Fault(
        name="disk-full",
        title="disk of a training node full",
        stage="training",
        promise="the training goes on; what could not be saved is said",
        inject=disk_full,
        verdict=resumes,
        steps=240,
    ),
)
