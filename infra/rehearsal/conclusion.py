"""What came out of a rehearsal, written for programs and, as a page, for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from infra.rehearsal import tally
from infra.rehearsal.asking import Asked
from infra.rehearsal.engine import version_of
from infra.rehearsal.faults.fault import Row
from infra.rehearsal.folder import write_whole
from infra.rehearsal.machine_facts import environment, said_by
from infra.rehearsal.report import page
from infra.rehearsal.result import Fault, Result
from infra.rehearsal.scene import seen
from infra.rehearsal.story import read
from infra.rehearsal.world import World


@dataclass(kw_only=True)
class Findings:
    """What was seen; what the rehearsal did not come to is None or empty."""

    before: dict[str, set[str]] = field(default_factory=dict)
    """What the account had when it was new: AWS's own."""
    made: list[str] = field(default_factory=list)
    """Type of every resource that `up` made."""
    trained: dict[str, Any] = field(default_factory=dict)
    """The run's `trained.json`."""
    gate: dict[str, Any] = field(default_factory=dict)
    """The gate's `report.json`."""
    version: str = ""
    """The release."""
    asked: Asked | None = None
    """What clients got."""
    tokenless: int = 0
    """Status that a client without a token got; 0: none was sent."""
    changes: dict[str, set[str]] | None = None
    """What another `up` would have changed when all was done; None: it was not tried."""
    denials: list[dict[str, Any]] = field(default_factory=list)
    """What the nodes' policies refused them."""
    calls: list[dict[str, Any]] = field(default_factory=list)
    """Calls of the AWS API, counted."""
    faults: list[Row] = field(default_factory=list)
    """What was done wrong on purpose, and what became of it."""
    left: list[str] | None = None
    """What the account still had after `destroy`; None: it is kept."""


def conclude(world: World, findings: Findings, outcome: str) -> None:
    """Write `result.json` and `report.html`."""
    result, (events, _) = result_of(world, findings, outcome), read(world.story.path)
    write_whole(world.files.result, result.to_json())
    page.write(result, events, world.files.report)


def result_of(world: World, findings: Findings, outcome: str) -> Result:
    """Return all that a rehearsal found out.

    Args:
        world: its own; whether the stack is still up does not matter.
        findings: what was seen.
        outcome: why it failed; empty: it did not.
    """
    events, _ = read(world.story.path)
    scene, asked = seen(events), findings.asked
    programs = {"pulumi": version_of(world.plan.engine), "haproxy": said_by(["haproxy", "-v"])}
    return Result(
        outcome=outcome,
        environment=environment(programs),
        asked=tally.asked_of(world.settings),
        stages=tally.stages_of(scene),
        nodes=tally.nodes_of(scene),
        training=tally.training_of(scene, findings.trained) if findings.trained else None,
        release=tally.release_of(findings.gate, findings.version) if findings.gate else None,
        serving=tally.serving_of(
            asked.figures,
            seconds=asked.seconds,
            concurrency=world.plan.concurrency,
            latencies_ms=asked.latencies_ms,
        )
        if asked
        else None,
        resources=tally.resources_of(findings.made),
        calls=tally.calls_of(findings.calls),
        denials=tally.denials_of(findings.denials),
        cost=tally.cost_of(scene, world.settings),
        faults=tuple(
            Fault(name=row.name, must_hold=row.promise, measured=row.what, held=row.kept)
            for row in findings.faults
        ),
        left=None if findings.left is None else tuple(findings.left),
    )
