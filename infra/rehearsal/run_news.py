"""What the files of a run say that they did not say before, as events. Pure; `watch.py` reads the files.

`metrics.jsonl`, `members.json`, `state.json` and what a compression leaves are written by the nodes; nothing is asked
of them for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.rehearsal.story import OPERATOR

DUTIES = {
    "prepare": "prepares the data",
    "training": "trains",
    "trained": "compresses",
    "compressed": "signs and publishes",
    "released": "raises the serving group",
}
"""What the leader does at each stage of a run; at all others it stands down."""


@dataclass(frozen=True, kw_only=True)
class News:
    """An event that is still to be told."""

    kind: str
    """As in `Event.kind`."""
    what: str
    """As in `Event.what`."""
    where: str = OPERATOR
    """As in `Event.where`."""
    facts: dict[str, Any] = field(default_factory=dict)
    """As in `Event.facts`."""


@dataclass(kw_only=True)
class RunNews:
    """What is known of one run."""

    steps: int = 0
    """Optimizer steps in all; 0: not known."""
    stage: str = "prepare"
    """Where the run is."""
    shards: str = ""
    """URI of its data, once it is there."""
    members: dict[str, Any] = field(default_factory=dict)
    """What `members.json` said last."""
    does: dict[str, str] = field(default_factory=dict)
    """Instance -> what it was last said to do."""
    told: list[int] = field(default_factory=list)
    """Steps whose loss was told."""
    measured: set[tuple[str, int]] = field(default_factory=set)
    """Split and step of the measurements that were told."""

    def of_state(self, content: bytes) -> Iterator[News]:
        """Return what a new `state.json` says."""
        state = json.loads(content)
        self.shards = state["shards"]
        if state["stage"] == self.stage:
            return
        self.stage = state["stage"]
        reason = f": {state['reason']}" if state["reason"] else ""
        facts = {key: state[key] for key in ("stage", "reason", "version")}
        yield News(
            kind="note", what=f"run is {self.stage}{reason}", where=state["by"] or OPERATOR, facts=facts
        )

    def of_members(self, content: bytes) -> Iterator[News]:
        """Return what a new `members.json` says: who trains since when, and who leads."""
        before, self.members = self.members, json.loads(content)
        trainers = self._trainers()
        if trainers and self.members["epoch"] != before.get("epoch"):
            names = ", ".join(trainers)
            facts = {"epoch": self.members["epoch"], "trainers": trainers}
            yield News(
                kind="note", what=f"epoch {self.members['epoch']}: {names}", where=trainers[0], facts=facts
            )

    def of_metrics(self, content: bytes) -> Iterator[News]:
        """Return the rows of a new `metrics.jsonl` that were not there before, or are there again."""
        rows = [json.loads(line) for line in content.splitlines()]
        losses = {row["step"]: row["loss"] for row in rows if "loss" in row}
        last = max((row["step"] for row in rows), default=0)
        # A training that went on from a checkpoint has dropped the rows behind it: they come again.
        self.told = [step for step in self.told if step <= last]
        self.measured = {one for one in self.measured if one[1] <= last}
        for step, loss in losses.items():
            if step not in self.told:
                self.told.append(step)
                of = f" of {self.steps}" if self.steps else ""
                facts = {"step": step, "steps": self.steps, "loss": loss}
                yield News(
                    kind="loss", what=f"step {step}{of}: loss {loss:.4g}", where=self._leader(), facts=facts
                )
        yield from self._measurements(rows)

    def of_trained(self, content: bytes) -> Iterator[News]:
        """Return what `trained.json` says."""
        trained = json.loads(content)
        self.steps = trained["steps"]
        what = f"trained: {trained['metric_name']} {trained['metric']:.4f} after {self.steps} steps"
        yield News(kind="note", what=what, where=self._leader(), facts={"trained": trained})

    def of_candidate(self, content: bytes) -> Iterator[News]:
        """Return what the `result.json` of a measured candidate says."""
        one = json.loads(content)
        what = (
            f"{one['name']}: {one['metric_name']} {one['metric']:.4f}, {one['size_bytes'] / 1e6:.2f} MB, "
            f"{one['latency_ms_batch1']:.2f} ms"
        )
        yield News(kind="note", what=what, where=self._leader(), facts={"candidate": one["name"]})

    def of_report(self, content: bytes) -> Iterator[News]:
        """Return what the gate's `report.json` says."""
        report = json.loads(content)
        verdict = f"{report['chosen']} passes" if report["passed"] else "nothing passes"
        yield News(
            kind="note",
            what=f"the gate: {verdict}, {len(report['candidates'])} candidates judged",
            where=self._leader(),
            facts={"passed": report["passed"], "chosen": report["chosen"]},
        )

    def _measurements(self, rows: Sequence[dict[str, Any]]) -> Iterator[News]:
        for row in rows:
            key = (row["split"], row["step"])
            if row["split"] == "train" or key in self.measured:
                continue
            self.measured.add(key)
            figures = {name: value for name, value in row.items() if name not in ("step", "split")}
            words = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
            what = f"step {row['step']}: {row['split']} {words}"
            yield News(kind="note", what=what, where=self._leader(), facts=row)

    def of_duties(self) -> Iterator[News]:
        """Return what nodes do now that they did not before: asked when state and members are both read."""
        members = [one["id"] for one in self.members.get("members", [])]
        trainers = self._trainers() if self.stage == "training" else []
        for place, instance in enumerate(members):
            duty = "waits"
            if self.stage == "training" and instance in trainers:
                duty = "trains, leads" if place == 0 else "trains"
            elif self.stage not in DUTIES:
                duty = "stands down"
            elif place == 0 and self.stage != "training":
                duty = f"{DUTIES[self.stage]}, leads"
            if self.does.get(instance) != duty:
                self.does[instance] = duty
                facts = {"instance": instance, "room": "train", "does": duty}
                yield News(kind="node", what=duty, where=instance, facts=facts)

    def _trainers(self) -> list[str]:
        return [one["id"] for one in self.members.get("members", [])[: self.members.get("active", 0)]]

    def _leader(self) -> str:
        members = self.members.get("members", [])
        return str(members[0]["id"]) if members else OPERATOR


def steps_of(config: bytes, index: bytes) -> int:
    """Return how many steps a run takes, from its `config.json` and the data's `index.json`; 0: not known.

    Of token data, an epoch's length depends on how they are cut, which is the reader's business.
    """
    train, data = json.loads(config)["train"], json.loads(index)
    if train["steps"] or data["kind"] == "tokens":
        return int(train["steps"])
    return int(train["epochs"] * -(-data["splits"]["train"]["samples"] // train["global_batch"]))
