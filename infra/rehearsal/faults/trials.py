"""The faults that one rehearsal was asked for, done in its world where they belong, and what became of them."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from ssl import create_default_context
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.cli.errors import RunFailedError
from infra.rehearsal import addresses
from infra.rehearsal.emulator import EmulatorError
from infra.rehearsal.faults import deploying, undisturbed
from infra.rehearsal.faults.fault import Fault, NotRecoveredError, Row, Stage
from infra.rehearsal.faults.fleet import MORE, NODES, Fleet
from infra.rehearsal.faults.load import Door, Load, questions
from infra.rehearsal.faults.registry import chosen
from infra.rehearsal.faults.releases import forge_of
from infra.rehearsal.faults.scene import Scene
from infra.rehearsal.sources import operator_environment

if TYPE_CHECKING:
    from infra.rehearsal.world import World

EVERY = 20
"""Steps between checkpoints of a training that is disturbed."""
FIRST_STEPS = 100
"""Of a training that nobody disturbs, and before the first fault."""
SHARE_MORE = 1.3
"""Steps beyond those that the faults are about to take."""
TRAINING = (
    *("train.global_batch=16", "train.keep_checkpoints=4", "train.hang_seconds=20"),
    f"train.checkpoint_every={EVERY}",
)
COMPRESSION = ("compress.prune=", "compress.quantize=false", "compress.distill=false", "compress.rounds=0")
"""The uncompressed network is released: faults are about other things."""
FAILURES = (
    *(NotRecoveredError, RunFailedError, EmulatorError, LookupError),
    *(BotoCoreError, ClientError, OSError, subprocess.SubprocessError),
)
"""What a fault ends by whose world does not do what it shall."""


def settings(names: Iterable[str]) -> dict[str, Any]:
    """Return the stack's settings, by full key, that some faults need; none where none was asked for.

    Raises:
        InputError: there is no such fault.
    """
    faults = chosen(names)
    if not faults:
        return {}
    return {"skylift:settings": [*words(faults), *COMPRESSION], "skylift:serveMaxNodes": MORE}


def words(faults: Sequence[Fault[Any]]) -> tuple[str, ...]:
    """Return what a training's config is changed by, so that it takes as long as the faults. Pure."""
    steps = FIRST_STEPS + math.ceil(SHARE_MORE * sum(fault.steps for fault in faults))
    return (f"train.steps={steps}", f"train.evaluate_every={10 * EVERY}", *TRAINING)


def run(names: Iterable[str], stage: Stage, world: World) -> list[Row]:
    """Do the faults of a stage, and return what became of them; nothing where there is nothing to do.

    Args:
        names: of all that were asked for.
        stage: `up`: before the stack is up, which it may be afterwards. `training`: while the nodes train, which they
            do still when this returns. `serving`: while the release is served, as it is again when this returns.
        world: where.
    """
    asked = chosen(names)
    faults = [one for one in asked if one.stage == stage]
    scene = Scene(world=world)
    if stage == "up":
        rows = [_row(scene, fault) for fault in faults]
        if any(one.name == deploying.THROTTLED_BOOT for one in asked):
            deploying.throttle(scene)
        return rows
    if stage == "training":
        return [_row(scene, fault) for fault in faults]
    disturbed = [one for one in asked if one.stage == "training"]
    rows = [_compared(scene, disturbed)] if disturbed else []
    return [*rows, *(_under_load(scene, faults) if faults else [])]


def broken(rows: Iterable[Row]) -> list[str]:
    """Return the promises that were broken, one line each. Pure."""
    return [f"{row.title}: {row.promise}: {row.what}" for row in rows if not row.kept]


def _under_load(scene: Scene, faults: Sequence[Fault[Any]]) -> list[Row]:
    from infra.rehearsal import asking  # it knows the world, which knows us

    Fleet(scene).await_nodes(NODES)
    forge, world = forge_of(scene), scene.world
    door = Door(
        url=asking.predictions_url(world),
        address=addresses.BALANCER,
        trust=create_default_context(cafile=asking.door_certificate(world)),
        token=world.issuer.token("load", TOKEN_SECONDS),
    )
    with Load(door, questions(forge.file(f"{forge.pointer()['version']}/model.json"))) as load:
        scene.load = load
        load.await_good(0.0)
        return [_row(scene, fault) for fault in faults]


TOKEN_SECONDS = 6 * 3600


def _compared(scene: Scene, faults: Sequence[Fault[Any]]) -> Row:
    world, state = scene.world, scene.run.facts("state.json")
    wanted = undisturbed.Settings(
        recipe=world.settings.recipe,
        words=tuple(word for word in world.settings.settings if not word.startswith("compress.")),
        shards=state["shards"],
        processes=world.settings.train_nodes,
    )
    try:
        out = world.files.inner / undisturbed.NAME
        expected = undisturbed.train(wanted, out, operator_environment(world.emulator))
        row = undisturbed.compared(scene.run.facts("trained.json"), expected, len(faults))
    except NotRecoveredError as error:
        row = undisturbed.missing(str(error), len(faults))
    return _told(scene, row)


def _row(scene: Scene, fault: Fault[Any]) -> Row:
    """Do one fault, judge it, tell it; where the world did not recover, undo what can be undone."""
    scene.world.story.tell("fault", fault.title, name=fault.name, state="begun", promise=fault.promise)
    kept, what, seconds = False, "", None
    try:
        seen = fault.verdict(fault.inject(scene))
        kept, what, seconds = seen.kept, seen.what, seen.recovery_seconds
    except FAILURES as error:
        what = f"did not recover: {str(error) or type(error).__name__}"
        scene.heal()
    row = Row(
        name=fault.name,
        title=fault.title,
        promise=fault.promise,
        kept=kept,
        what=what,
        recovery_seconds=seconds,
    )
    return _told(scene, row)


def _told(scene: Scene, row: Row) -> Row:
    verdict = "kept" if row.kept else "BROKEN"
    facts = {name: value for name, value in asdict(row).items() if name != "what"}
    scene.world.story.tell(
        "fault", f"{row.title}: {verdict}: {row.what}", state="done", seen=row.what, **facts
    )
    return row
