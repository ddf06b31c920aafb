"""What happened where, as lanes of bars and marks: operator, nodes, load balancer. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from infra.rehearsal.scene import OVER, Scene
from infra.rehearsal.story import OPERATOR, Event

Kind = Literal["stage", "boot", "wait", "train", "compress", "serve", "end", "requests", "failed"]
WORK: dict[str, Kind] = {
    "trains": "train",
    "prepares": "train",
    "compresses": "compress",
    "signs": "compress",
    "raises": "compress",
    "serves": "serve",
    "drains": "end",
    "stands": "end",
}
"""First word of what a node does -> kind of its bar."""
GAP_SECONDS = 3.0
"""Requests that follow each other by less are one bar."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Something that went on for a while."""

    begun: float
    """In seconds since the rehearsal's beginning."""
    ended: float
    """Likewise."""
    kind: Kind
    """Tells its colour."""
    label: str
    """In a word or two."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Something that happened at once."""

    at: float
    """In seconds since the rehearsal's beginning."""
    label: str
    """In a few words."""


@dataclass(kw_only=True)
class Lane:
    """One place."""

    name: str
    """`operator`, `balancer` or a node's."""
    bars: list[Bar] = field(default_factory=list)
    """In the order of their beginning; they do not overlap but for an operator's."""
    marks: list[Mark] = field(default_factory=list)
    """Faults that were injected there."""

    def go_on(self, bar: Bar) -> None:
        """Add a bar; one of the same kind and words that it follows is made longer instead."""
        last = self.bars[-1] if self.bars else None
        if last and (last.kind, last.label) == (bar.kind, bar.label) and bar.begun - last.ended < 0.01:
            self.bars[-1] = Bar(begun=last.begun, ended=bar.ended, kind=bar.kind, label=bar.label)
        elif bar.ended > bar.begun:
            self.bars.append(bar)


def lanes(events: Iterable[Event]) -> list[Lane]:
    """Return the lanes of a story: operator, nodes in the order of their coming, load balancer."""
    scene, found = Scene(), dict[str, Lane]()
    operator, balancer = Lane(name=OPERATOR), Lane(name="balancer")
    open_bars: dict[str, tuple[float, Kind, str]] = {}

    def close(instance: str, at: float) -> None:
        begun, kind, label = open_bars.pop(instance)
        found[instance].go_on(Bar(begun=begun, ended=at, kind=kind, label=label))

    for event in events:
        scene.take([event])
        at = event.at - scene.begun
        instance = str(event.facts.get("instance", event.where))
        if instance in scene.nodes and (event.kind == "node" or "health" in event.facts):
            node = scene.nodes[instance]
            lane = found.setdefault(node.instance, Lane(name=node.name))
            if node.instance in open_bars:
                close(node.instance, at)
            if node.state != OVER:
                open_bars[node.instance] = (at, *activity(node.state, node.does))
        elif event.kind == "request" and event.facts.get("per_s"):
            begun = balancer.bars[-1].ended if balancer.bars else at - GAP_SECONDS
            begun = begun if at - begun < GAP_SECONDS else at - 1.0
            balancer.go_on(Bar(begun=max(begun, 0.0), ended=at, kind="requests", label="requests"))
        elif event.kind == "fault" and event.facts.get("state") != "done":
            lane = found.get(instance, operator)
            lane.marks.append(Mark(at=at, label=event.what))
    for instance in list(open_bars):
        close(instance, scene.now - scene.begun)
    operator.bars = [
        Bar(
            begun=one.begun - scene.begun,
            ended=one.begun - scene.begun + scene.seconds(one),
            kind="failed" if one.failed else "stage",
            label=one.name,
        )
        for one in scene.stages
    ]
    return [one for one in (operator, *found.values(), balancer) if one.bars or one.marks]


def activity(state: str, does: str) -> tuple[Kind, str]:
    """Return a node's bar: what it does while it runs, else its state.

    Args:
        state: as machines tell it.
        does: what it was last said to do.
    """
    if state in ("terminating", "off"):
        return "end", state
    if state in ("pending", "booting"):
        return "boot", "boots"
    if not does:
        return "wait", ""
    work = does.removesuffix(", leads")
    return WORK.get(work.partition(" ")[0], "wait"), work
