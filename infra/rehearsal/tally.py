"""The parts of a result, each from what was written down: events, the run's files, the emulator's ledger. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from infra.rehearsal.closing import node_hours
from infra.rehearsal.cloud_news import denial
from infra.rehearsal.provider.table import row_of
from infra.rehearsal.result import (
    Asked,
    Calls,
    Candidate,
    Cost,
    NodeTime,
    Release,
    Resources,
    Serving,
    StageTime,
    Training,
)
from infra.rehearsal.run_cost import run_cost
from infra.rehearsal.scene import Scene
from infra.settings import Settings


def asked_of(settings: Settings) -> Asked:
    """Return what a stack's settings ask for."""
    return Asked(
        stack=settings.stack,
        region=settings.region,
        recipe=settings.recipe,
        data=settings.data,
        train_types=tuple(settings.train_instance_types),
        serve_types=tuple(settings.serve_instance_types),
    )


def stages_of(scene: Scene) -> tuple[StageTime, ...]:
    """Return the stages; one that goes on has taken the time until now."""
    return tuple(
        StageTime(name=one.name, begun=one.begun, seconds=scene.seconds(one), failed=one.failed)
        for one in scene.stages
    )


def nodes_of(scene: Scene) -> tuple[NodeTime, ...]:
    """Return the nodes; one that lives has lived until now."""
    return tuple(
        NodeTime(
            name=one.name,
            instance=one.instance,
            address=one.address,
            room=one.room,
            seconds=(one.went or scene.now) - one.came,
        )
        for one in scene.nodes.values()
    )


def training_of(scene: Scene, trained: Mapping[str, Any]) -> Training:
    """Return how the training went.

    Args:
        scene: what was told.
        trained: the run's `trained.json`.
    """
    return Training(
        run_id=trained["run_id"],
        nodes=scene.trainers,
        processes=trained["world_size"],
        steps=trained["steps"],
        seconds=trained["seconds"],
        samples_per_s=trained["samples_per_s"],
        parameters=trained["parameters"],
        restarts=scene.restarts,
    )


def release_of(report: Mapping[str, Any], version: str) -> Release:
    """Return what the gate said.

    Args:
        report: its `report.json`.
        version: of the release; empty: nothing was published.
    """
    return Release(
        name=report["name"],
        version=version,
        metric_name=report["metric_name"],
        required=report["required_ratio"],
        chosen=report["chosen"] or "",
        baseline=_candidate({**report["baseline"], "ratio": 1.0, "cost": 1.0, "passed": True, "reason": ""}),
        candidates=tuple(_candidate(one) for one in report["candidates"]),
    )


def serving_of(
    figures: Mapping[str, Any], *, seconds: float, concurrency: int, latencies_ms: Sequence[float]
) -> Serving:
    """Return how requests were answered.

    Args:
        figures: as `infra.cli.summary.serving_figures` returns them.
        seconds: from the first request to the last answer.
        concurrency: requests in flight at once, at most.
        latencies_ms: of each request.
    """
    return Serving(
        requests=figures["requests"],
        failed=figures["failed"],
        agreeing=figures["agreeing"],
        correct=figures["correct"],
        seconds=seconds,
        concurrency=concurrency,
        latencies_ms=tuple(latencies_ms),
    )


def resources_of(tokens: Iterable[str]) -> tuple[Resources, ...]:
    """Return how many resources there are of each type.

    Args:
        tokens: of every resource of the engine's state; those that are not AWS's are left out.
    """
    counts = Counter(token for token in tokens if token.startswith("aws:"))
    return tuple(
        Resources(type=token, count=count, kind=row_of(token).kind) for token, count in sorted(counts.items())
    )


def calls_of(ledger: Iterable[Mapping[str, Any]]) -> tuple[Calls, ...]:
    """Return the calls of the AWS API.

    Args:
        ledger: what the emulator answers to `calls`.
    """
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    for one in ledger:
        counter = counts.setdefault((one["who"], one["service"], one["operation"]), Counter())
        counter[one["outcome"]] += one["number"]
    return tuple(
        Calls(who=who, service=service, action=action, allowed=found["allowed"], denied=found["denied"])
        for (who, service, action), found in sorted(counts.items())
    )


def denials_of(denials: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return each different refusal in one line, and how often it came.

    Args:
        denials: what the emulator answers to `denials`.
    """
    counts = Counter(denial(one) for one in denials)
    return tuple(f"{line} ({count} times)" if count > 1 else line for line, count in counts.items())


def cost_of(scene: Scene, settings: Settings) -> Cost:
    """Return what the same run would have cost on AWS."""
    nodes = nodes_of(scene)
    hours = {room: node_hours(nodes, room) for room in ("train", "serve")}
    return run_cost(settings, hours, (scene.now - scene.begun) / 3600)


def _candidate(row: Mapping[str, Any]) -> Candidate:
    return Candidate(
        name=row["name"],
        metric=row["metric"],
        ratio=row["ratio"],
        cost=row["cost"],
        size_bytes=row["size_bytes"],
        latency_ms=row["latency_ms_batch1"],
        passed=row["passed"],
        reason=row["reason"],
    )
