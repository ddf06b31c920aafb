"""What the nodes do by themselves, seen from outside: how far the run has come, and whether its release is served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from infra.cli.errors import RunFailedError
from infra.rehearsal.plan import REGION
from infra.rehearsal.stages import awaited
from infra.rehearsal.world import World

ORDER = ("prepare", "training", "trained", "compressed", "released", "done")
"""How a run goes on; `state.json` says where it is. `refused` and `failed` end it at any point."""

MOST_LAUNCHES = 4
"""Times the nodes of a training, until one begins."""


def await_stage(world: World, wanted: str) -> dict[str, Any]:
    """Return what `state.json` says once the run has come to a stage, or further.

    Raises:
        RunFailedError: the run has failed, the gate has refused it, or nothing happens any more.
    """

    def look() -> dict[str, Any] | None:
        state = run_file(world, "state.json")
        if state is None:
            require_boots(world.files.nodes, MOST_LAUNCHES * world.settings.train_nodes)
            return None
        if state["stage"] not in ORDER:
            raise RunFailedError(f"run {world.outputs['runId']} is {state['stage']}: {state['reason']}")
        return state if ORDER.index(state["stage"]) >= ORDER.index(wanted) else None

    return awaited(world.story, f"the run's stage `{wanted}`", look)


def require_boots(nodes: Path, most: int) -> None:
    """Give up where nodes come and go and none begins: their group would launch others for ever.

    Args:
        nodes: has a folder for each that was launched.
        most: launches that it takes.

    Raises:
        RunFailedError: there were more.
    """
    launched = sorted(nodes.iterdir(), key=lambda one: one.stat().st_mtime_ns) if nodes.exists() else []
    if len(launched) > most:
        console = launched[0] / "console.log"
        lines = console.read_text(errors="replace").strip().splitlines() if console.exists() else []
        last = lines[-1] if lines else "nothing"
        raise RunFailedError(
            f"nodes must boot, {len(launched)} were launched and none began; the first said: {last} (see {console})"
        )


def run_file(world: World, name: str) -> dict[str, Any] | None:
    """Return a JSON file of the run's folder; None: it is not there yet."""
    s3 = world.emulator.client("s3", REGION)
    bucket = world.outputs["workUri"].removeprefix("s3://")
    try:
        answer = s3.get_object(Bucket=bucket, Key=f"runs/{world.outputs['runId']}/{name}")
    except s3.exceptions.NoSuchKey:
        return None
    found: dict[str, Any] = json.loads(answer["Body"].read())
    return found


def await_serving(world: World, nodes: int) -> None:
    """Return when so many nodes are healthy behind the load balancer.

    Raises:
        RunFailedError: nothing happens any more.
    """
    balancing = world.emulator.client("elbv2", REGION)
    (group,) = balancing.describe_target_groups()["TargetGroups"]

    def look() -> bool | None:
        told = balancing.describe_target_health(TargetGroupArn=group["TargetGroupArn"])
        states = [one["TargetHealth"]["State"] for one in told["TargetHealthDescriptions"]]
        return states.count("healthy") >= nodes or None

    awaited(world.story, f"{nodes} healthy serving nodes", look)


def await_stand_down(world: World) -> None:
    """Return when the training group has no instance any more: its leader sets it to zero.

    Raises:
        RunFailedError: nothing happens any more.
    """
    scaling = world.emulator.client("autoscaling", REGION)

    def look() -> bool | None:
        asked = {"AutoScalingGroupNames": [world.outputs["trainGroup"]]}
        (group,) = scaling.describe_auto_scaling_groups(**asked)["AutoScalingGroups"]
        return (group["DesiredCapacity"] == 0 and not group["Instances"]) or None

    awaited(world.story, "the training group's end", look)


def ranks(world: World) -> int:
    """Return how many processes train together at full size: one a node where nodes have no GPU and none is said."""
    return world.settings.train_nodes * (world.settings.processes_per_node or 1)
