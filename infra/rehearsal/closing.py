"""The table that ends a rehearsal: what came out, how long it took, what stood behind it, what was left out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from infra.cli.summary import megabytes, number
from infra.rehearsal.result import NodeTime, Release, Result, Serving, StageTime
from infra.rehearsal.timeline import clock

NOT_REHEARSED = (
    "what AWS and the real Pulumi plugin refuse or take their time for; the waits of real machines",
    "GPUs, NCCL and EFA: every node computed on this machine's CPU, by gloo",
    "security groups, routes, NAT and endpoints as filters: all are there, and no packet is refused",
    "spot markets, capacity and quotas; zones that fail",
    "service users and the block of the metadata service by user: one user is all that a user namespace has",
    "the speed of networks, disks and S3, and so of training and serving on AWS",
    "what is only recorded (see resources): kept and checked, with nothing behind it",
)
"""In words, what a rehearsal that went well says nothing about."""
TITLE = "Rehearsed on one machine; never tested on AWS"


def table(result: Result) -> RenderableType:
    """Return all that a rehearsal found out, for a terminal of 80 columns or more."""
    parts: list[RenderableType] = []
    if result.outcome:
        parts.append(Text(f"The rehearsal failed: {result.outcome}", "bold red"))
    if result.release:
        parts.append(quality_table(result.release, result.serving))
    parts.append(facts_table(result))
    if result.faults:
        parts.append(faults_table(result))
    parts += [Text(f"denied: {one}", "red") for one in result.denials]
    parts.append(Text(f"{TITLE}. Not rehearsed:", "bold"))
    words = Table.grid(padding=(0, 1, 0, 0))
    for one in NOT_REHEARSED:
        words.add_row("-", one, style="dim")
    parts.append(words)
    return Group(*parts)


def quality_table(release: Release, serving: Serving | None) -> Table:
    """Return what was gained and lost: the uncompressed network beside the released one."""
    name = (
        f"{release.name} {release.version} ({release.chosen})"
        if release.chosen
        else f"{release.name}: refused"
    )
    found = Table(title=name, title_justify="left")
    for column in ("", "uncompressed", "released", ""):
        found.add_column(column, justify="right" if column else "left")
    base = release.baseline
    chosen = next((one for one in release.candidates if one.name == release.chosen), None)
    if chosen:
        metric = release.metric_name
        quality, of_it = (number(metric, one.metric) for one in (base, chosen)), f"{chosen.ratio:.1%} of it"
        found.add_row(metric.replace("_", " "), *quality, of_it)
        found.add_row(
            "archive size", megabytes(base.size_bytes), megabytes(chosen.size_bytes),
            f"{base.size_bytes / chosen.size_bytes:.1f}x smaller",
        )  # fmt: skip
        found.add_row(
            "latency, 1 sample, 1 thread", f"{base.latency_ms:.2f} ms", f"{chosen.latency_ms:.2f} ms",
            f"{base.latency_ms / chosen.latency_ms:.1f}x faster",
        )  # fmt: skip
    if serving:
        found.add_section()
        if serving.correct is not None:
            found.add_row("served accuracy", "", number("accuracy", serving.correct / serving.requests), "")
        found.add_row(
            "served = offline", "", f"{serving.agreeing} of {serving.requests}", f"{serving.failed} failed"
        )
        at_once = f"{serving.concurrency} at once"
        found.add_row("requests/s", "", f"{serving.requests_per_s:.0f}", at_once)
        found.add_row("p50 / p99", "", " / ".join(f"{one:.1f}" for one in percentiles(serving)) + " ms", "")
    return found


def facts_table(result: Result) -> Table:
    """Return how it went, a line a fact."""
    found = Table.grid(padding=(0, 2, 0, 0))
    found.add_column(style="dim", no_wrap=True)
    found.add_column()
    for name, words in facts(result):
        found.add_row(name, words)
    return found


def facts(result: Result) -> list[tuple[str, str]]:
    """Return the facts of a rehearsal as name and words."""
    found = [("wall", wall(result.stages))]
    rooms = Counter(node.room for node in result.nodes)
    if rooms:
        training = result.training
        starts = f"; the training started again {_times(training.restarts)}" if training else ""
        found.append(("nodes", f"{', '.join(f'{count} {room}' for room, count in rooms.items())}{starts}"))
    if result.training:
        one = result.training
        found.append(
            (
                "training",
                f"{one.steps} steps by {one.processes} processes on {one.nodes} nodes, {one.seconds:.1f} s",
            )
        )
    kinds: Counter[str] = Counter()
    for row in result.resources:
        kinds[row.kind] += row.count
    if kinds:
        split = ", ".join(f"{kinds[kind]} {kind}" for kind in ("emulated", "patched", "recorded"))
        found.append(("resources", f"{kinds.total()}, of {len(result.resources)} types: {split}"))
    if result.calls:
        denied, allowed = (sum(getattr(one, what) for one in result.calls) for what in ("denied", "allowed"))
        found.append(("AWS API", f"{allowed + denied:,} calls, {denied} denied"))
    if result.cost:
        cost = result.cost
        span = f"{cost.low:.2f} to {cost.high:.2f} US dollars"
        found.append(
            ("on AWS", f"about {span}, an estimate (prices of {cost.price_date}); a real boot takes longer")
        )
    if result.left is not None:
        found.append(("left", ", ".join(result.left) or "nothing: everything was destroyed"))
    return found


def faults_table(result: Result) -> Table:
    """Return what was injected, what must hold, and what was measured."""
    found = Table(title="Faults", title_justify="left")
    for column in ("fault", "must hold", "measured", ""):
        found.add_column(column, overflow="fold")
    for fault in result.faults:
        verdict = Text("held", "green") if fault.held else Text("broken", "bold red")
        found.add_row(fault.name, fault.must_hold, fault.measured, verdict)
    return found


def wall(stages: Sequence[StageTime]) -> str:
    """Return how long it took, and how that is split: `4:31.2: engine 3 s, up 33 s …`."""
    if not stages:
        return "nothing was begun"
    whole = max(one.begun + one.seconds for one in stages) - min(one.begun for one in stages)
    split = ", ".join(f"{one.name}{' (failed)' if one.failed else ''} {one.seconds:.0f} s" for one in stages)
    return f"{clock(whole)[:-2]} min: {split}"


def percentiles(serving: Serving) -> tuple[float, float]:
    """Return p50 and p99 of the latencies, in milliseconds."""
    ordered = sorted(serving.latencies_ms)
    return median(ordered), ordered[math.ceil(0.99 * len(ordered)) - 1]


def node_hours(nodes: Sequence[NodeTime], room: str) -> float:
    """Return the hours that a room's nodes ran, all together."""
    return sum(node.seconds for node in nodes if node.room == room) / 3600


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")
