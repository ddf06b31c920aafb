"""The rehearsal, step by step, as one would tell it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict

from infra.cli.errors import RunFailedError
from infra.rehearsal import asking, sources, tally, training
from infra.rehearsal.conclusion import Findings
from infra.rehearsal.faults import trials
from infra.rehearsal.inventory import inventory_of
from infra.rehearsal.plan import REGION
from infra.rehearsal.stages import stage
from infra.rehearsal.watch import Watch
from infra.rehearsal.world import World

FORBIDDEN = 401
"""What a client without a token gets."""


def rehearse(world: World, findings: Findings) -> None:
    """Do the whole job, from an empty account to answers; what is seen on the way is written into the findings.

    Raises:
        RunFailedError: it went wrong; the message says what.
    """
    findings.before = inventory_of(world.emulator, REGION)
    story, plan = world.story, world.plan
    with stage(story, "up"):
        findings.faults += trials.run(plan.faults, "up", world)
        findings.made = [*world.stack.up().types.values()]
        world.outputs = world.stack.outputs()
    with _watched(world), ThreadPoolExecutor(1, "offline") as aside:
        with stage(story, "boot"):
            shards = training.await_stage(world, "training")["shards"]
        with stage(story, "training"):
            findings.faults += trials.run(plan.faults, "training", world)
            training.await_stage(world, "trained")
            findings.trained = training.run_file(world, "trained.json") or {}
        with stage(story, "compress"):
            training.await_stage(world, "compressed")
            findings.gate = training.run_file(world, "report.json") or {}
        with stage(story, "publish"):
            findings.version = training.await_stage(world, "released")["version"]
        held_out = aside.submit(asking.predict_offline, world, shards)  # it takes as long as nodes boot
        with stage(story, "serve"):
            training.await_serving(world, world.settings.serve_min_nodes)
        with stage(story, "requests"):
            findings.tokenless = asking.ask_without_token(world, held_out.result())
            findings.asked = asking.ask(world, held_out.result())
        findings.faults += trials.run(plan.faults, "serving", world)
        training.await_stand_down(world)
    with stage(story, "again"):
        findings.changes = world.stack.up(refresh=True).changes()


@contextmanager
def _watched(world: World) -> Iterator[None]:
    watch = Watch(
        world.emulator,
        world.story,
        world.outputs,
        region=REGION,
        stats=lambda: asdict(world.balancer.stats()),
    )
    watch.start()
    try:
        yield
    finally:
        watch.stop()


def take_down(world: World, findings: Findings) -> None:
    """Destroy everything, and look by AWS's own lists whether anything is left."""
    with stage(world.story, "destroy"):
        world.stack.destroy()
        findings.denials = world.emulator.ask("denials")
        findings.calls = world.emulator.ask("calls")
        sources.take_away(world.emulator, world.plan)
        after = inventory_of(world.emulator, REGION)
        findings.left = [
            f"{kind} {name}"
            for kind, names in after.items()
            for name in sorted(names - findings.before.get(kind, set()))
        ]


def shortcomings(findings: Findings, ranks: int) -> list[str]:
    """Return what did not hold, one line each. Pure.

    Args:
        findings: of a rehearsal that went through.
        ranks: processes that were to train together at the end.
    """
    found = []
    if (trained := findings.trained.get("world_size", 0)) != ranks:
        found.append(f"{ranks} processes were to train together, {trained} did")
    if findings.asked:
        figures = findings.asked.figures
        if figures["agreeing"] != figures["requests"]:
            found.append(
                f"{figures['agreeing']} of {figures['requests']} answers agree with the release's own, "
                f"{figures['failed']} requests failed"
            )
    if findings.tokenless != FORBIDDEN:
        found.append(f"a client without a token must get {FORBIDDEN}, it got {findings.tokenless}")
    if findings.changes:
        changed = [f"{what} {name}" for what, names in findings.changes.items() for name in sorted(names)]
        found.append(f"another `pulumi up` would change something: {', '.join(changed)}")
    found += trials.broken(findings.faults)
    found += [f"refused: {line}" for line in tally.denials_of(findings.denials)]
    if findings.left:
        found.append(f"`destroy` left something: {', '.join(findings.left)}")
    return found


def require_success(findings: Findings, ranks: int) -> None:
    """Raise where something did not hold.

    Raises:
        RunFailedError: all of it, in one line.
    """
    if found := shortcomings(findings, ranks):
        raise RunFailedError("; ".join(found))
