"""What happens to the deployment itself: AWS throttles while nodes boot, the engine is killed, `up` runs once more."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import pulumi.automation as auto
from pulumi.automation.events import EngineEvent

from infra.rehearsal.faults.fault import Fault, NotRecoveredError, Seen
from infra.rehearsal.faults.scene import Scene
from infra.rehearsal.faults.waiting import until
from infra.rehearsal.inventory import inventory_of
from infra.rehearsal.story import read

if TYPE_CHECKING:
    from infra.rehearsal.stack import Deployment

THROTTLED = {
    "ec2": {"service": "ec2", "status": 503, "code": "RequestLimitExceeded"},
    "autoscaling": {"service": "autoscaling", "status": 400, "code": "Throttling"},
    "kms": {"service": "kms", "status": 400, "code": "ThrottlingException"},
    "s3": {"service": "s3", "status": 503, "code": "SlowDown"},
}
"""How each service refuses whoever asks too often."""
AT_BOOT = ("ec2", "autoscaling", "s3")
"""Of these, whom nodes ask from their boot on; KMS when they sign."""
THROTTLED_BOOT = "throttled-boot"
TIMES = 8
"""Calls that each service refuses, of all nodes together, from the first one on."""
KILLED_AFTER = 40
"""Resources that are made when the engine is killed."""


@dataclass(frozen=True, kw_only=True)
class Throttled:
    """What was seen of nodes that booted into a busy account."""

    refused: dict[str, int]
    """Calls refused, by service."""
    seconds: float
    """From the end of `up` to the first checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Up:
    """What an `up` did."""

    changed: int
    """Resources that it changed."""
    left: int
    """Resources that a preview would change still."""
    twice: tuple[str, ...] = ()
    """Kinds of which there is more in the account than the engine knows of."""
    seconds: float = 0.0
    """How long it took."""
    steps: int = 0
    """Training steps that were saved meanwhile, and until the next checkpoint."""
    restarts: int = 0
    """Times that the training started again meanwhile."""


def throttle(scene: Scene) -> None:
    """Refuse the nodes' first calls of every service; called before there are nodes."""
    for name, rule in THROTTLED.items():
        scene.ask("interfere", name=f"throttled-{name}", harm="refuse", times=TIMES, **rule)


def throttled_boot(scene: Scene) -> Throttled:
    """Wait for the training of nodes whose first calls were refused."""
    scene.run.await_step(1)
    told, _ = read(scene.world.story.path)
    ups = [one.at for one in told if one.kind == "stage" and one.facts.get("name") == "up"]
    seconds = time.time() - ups[-1]
    # EC2 is asked once Auto Scaling has answered, which may be after the training began.
    until(
        lambda: all(scene.ask("harmed")[f"throttled-{name}"] for name in AT_BOOT), "refusal by each service"
    )
    refused = scene.ask("calm")
    return Throttled(refused={name: refused[f"throttled-{name}"] for name in THROTTLED}, seconds=seconds)


def boots_all_the_same(found: Throttled) -> Seen:
    """Judge: calls were refused, and the nodes train."""
    refused = ", ".join(f"{count} of {name}" for name, count in found.refused.items())
    return Seen(
        kept=all(found.refused.get(name) for name in AT_BOOT),
        what=f"calls refused: {refused}; the first checkpoint {found.seconds:.0f} s after `pulumi up`",
        recovery_seconds=found.seconds,
    )


def up_interrupted(scene: Scene) -> Up:
    """Kill the engine with its plugins in the middle of `up`, and run it again."""
    deployment = scene.world.stack
    before = inventory_of(scene.world.emulator)  # every account has a network of its own accord
    kill_half_way(deployment, KILLED_AFTER)
    begun = time.monotonic()
    changes = deployment.up().changes()
    seconds = time.monotonic() - begun
    left = deployment.preview().changes()
    known = {str(one.get("id", "")) for one in deployment.resources()}
    names = " ".join([*known, *(str(one.get("outputs", "")) for one in deployment.resources())])
    account = inventory_of(scene.world.emulator)
    twice = [
        kind
        for kind in ("network", "subnet", "launch template", "group", "bucket")
        for name in account.get(kind, set()) - before.get(kind, set())
        if name not in names
    ]
    return Up(
        changed=sum(map(len, changes.values())),
        left=sum(map(len, left.values())),
        twice=tuple(twice),
        seconds=seconds,
    )


def completes(found: Up) -> Seen:
    """Judge: the second one makes what was missing, and nothing twice."""
    said = f"the second one changed {found.changed} resources; {found.left} left to do"
    twice = (
        f"; not known to the engine: {', '.join(found.twice)}" if found.twice else "; nothing is there twice"
    )
    return Seen(
        kept=found.changed > 0 and found.left == 0 and not found.twice,
        what=said + twice,
        recovery_seconds=found.seconds,
    )


def up_again(scene: Scene) -> Up:
    """Run `up` once more while the nodes train."""
    pulse, epoch, consoles = scene.run.pulse(), scene.run.epoch, scene.consoles()
    begun = time.monotonic()
    changes = scene.world.stack.up().changes()
    seconds = time.monotonic() - begun
    later = scene.run.await_step(scene.run.newest + 1)
    return Up(
        changed=sum(map(len, changes.values())),
        left=0,
        seconds=seconds,
        steps=later - pulse.step,
        restarts=scene.run.epoch - epoch + len(consoles.resumed()),
    )


def changes_nothing(found: Up) -> Seen:
    """Judge: it changes nothing, and the training goes on as if nothing had happened."""
    said = f"{found.changed} resources changed in {found.seconds:.0f} s; {found.steps} steps meanwhile"
    return Seen(
        kept=found.changed == 0 and found.steps > 0 and found.restarts == 0,
        what=f"{said}, {found.restarts} restarts",
    )


def kill_half_way(deployment: Deployment, after: int) -> int:
    """Run `up` and kill the engine with all that it started, when so many resources are made.

    Returns:
        How many the engine had reported when it died.

    Raises:
        NotRecoveredError: it was done before.
    """
    made: list[str] = []

    def hear(event: EngineEvent) -> None:
        if event.res_outputs_event is not None and event.res_outputs_event.metadata.op == "create":
            made.append(event.res_outputs_event.metadata.urn)
        if len(made) == after:
            for process in _engine():
                process.kill()

    try:
        deployment.stack.up(program=deployment.program, on_event=hear)
    except auto.CommandError:
        deployment.stack.cancel()  # gives back the lock that the dead one held
        return len(made)
    raise NotRecoveredError(f"the engine was done before {after} resources were made")


def _engine() -> list[psutil.Process]:
    """Return the engine that this process started, and the plugins that it started."""
    engines = [one for one in psutil.Process(os.getpid()).children() if one.name() == "pulumi"]
    return [process for engine in engines for process in [engine, *engine.children(recursive=True)]]


FAULTS = (
    Fault(
        name="up-interrupted",
        title="`pulumi up` killed half-way, then run again",
        stage="up",
        promise="the second one completes it; nothing is there twice",
        inject=up_interrupted,
        verdict=completes,
    ),
    Fault(
        name=THROTTLED_BOOT,
        title="AWS throttles while nodes boot",
        stage="training",
        promise="nodes boot and train all the same",
        inject=throttled_boot,
        verdict=boots_all_the_same,
        quick=True,
        steps=100,
    ),
    Fault(
        name="up-again",
        title="second `pulumi up` in the middle of the training",
        stage="training",
        promise="changes nothing; the training goes on",
        inject=up_again,
        verdict=changes_nothing,
        steps=240,
    ),
)
