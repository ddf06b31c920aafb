"""How a rehearsal stands: its events, folded. The live view, `status`, the closing table and the report read it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from infra.rehearsal.story import OPERATOR, Event

OVER = "gone"
"""State of a node that is no more."""
SERVING = {"healthy": "serves", "initial": "gets ready", "draining": "drains", "unhealthy": "is not ready"}
"""What the load balancer says of a node, in AWS's words -> what the node does."""


@dataclass(kw_only=True)
class Stage:
    """One stage of the rehearsal."""

    name: str
    """As told."""
    begun: float
    """When, in seconds since the epoch."""
    seconds: float | None = None
    """How long it took; None while it goes on."""
    failed: bool = False
    """Whether it ended by an error."""


@dataclass(kw_only=True)
class Node:
    """One node."""

    name: str
    """For people: `train-1`, in the order of their coming."""
    instance: str
    """Instance id."""
    room: str
    """`train` or `serve`."""
    came: float
    """When it was launched, in seconds since the epoch."""
    address: str = ""
    """Private IPv4 address."""
    state: str = ""
    """`pending`, `booting`, `running`, `terminating` or `gone`."""
    does: str = ""
    """What it does now."""
    went: float | None = None
    """When it was gone."""


@dataclass(kw_only=True)
class Scene:
    """All that was told so far."""

    begun: float = 0.0
    """When the first event was told, in seconds since the epoch."""
    now: float = 0.0
    """When the last one was."""
    stages: list[Stage] = field(default_factory=list)
    """In the order in which they began."""
    nodes: dict[str, Node] = field(default_factory=dict)
    """By instance id, in the order of their coming."""
    losses: list[tuple[int, float]] = field(default_factory=list)
    """Step and loss; steps that were done again stand here as they went the last time."""
    steps: int = 0
    """Steps of the training in all; 0: not known yet."""
    epochs: set[int] = field(default_factory=set)
    """Starts of the training, by the number that names their rendezvous."""
    restarted_after: list[int] = field(default_factory=list)
    """Step whose loss was the last one told before each start but the first."""
    trainers: int = 0
    """Nodes of the last of these starts."""
    requests: Event | None = None
    """The latest figures of the load balancer."""
    denied: int = 0
    """Calls that the nodes' policies refused."""
    faults: list[Event] = field(default_factory=list)
    """What was injected."""
    result: Event | None = None
    """Told at the end."""

    def take(self, events: Iterable[Event]) -> None:
        """Take what happened next."""
        for event in events:
            self.begun = self.begun or event.at
            self.now = max(self.now, event.at)
            match event.kind:
                case "stage":
                    self._take_stage(event)
                case "node":
                    self._take_node(event)
                case "loss":
                    self._take_loss(event)
                case "note" if "health" in event.facts:
                    self._take_health(event)
                case "note" if "epoch" in event.facts:
                    if self.epochs and int(event.facts["epoch"]) not in self.epochs:
                        self.restarted_after.append(self.losses[-1][0] if self.losses else 0)
                    self.epochs.add(int(event.facts["epoch"]))
                    self.trainers = len(event.facts["trainers"])
                case "request":
                    self.requests = event
                case "denied":
                    self.denied += int(event.facts.get("times", 1))
                case "fault" if event.facts.get("state") != "done":
                    self.faults.append(event)
                case "result":
                    self.result = event

    @property
    def restarts(self) -> int:
        """Times that the training began again after its first start."""
        return max(len(self.epochs) - 1, 0)

    def name(self, where: str) -> str:
        """Return what people call a place: a node's name instead of its id."""
        return self.nodes[where].name if where in self.nodes else where

    def place(self, event: Event) -> str:
        """Return where something happened, for people; the operator saw what is told of a node."""
        told = event.facts.get("instance", event.where) if event.where == OPERATOR else event.where
        return self.name(str(told))

    def seconds(self, stage: Stage) -> float:
        """Return how long a stage took, or has been going on."""
        return self.now - stage.begun if stage.seconds is None else stage.seconds

    def _take_stage(self, event: Event) -> None:
        name, state = event.facts["name"], event.facts["state"]
        if state == "begun":
            self.stages.append(Stage(name=name, begun=event.at))
            return
        open_ones = [one for one in self.stages if one.name == name and one.seconds is None]
        stage = open_ones[-1] if open_ones else Stage(name=name, begun=event.at)
        stage.seconds = float(event.facts.get("seconds", event.at - stage.begun))
        stage.failed = state == "failed"
        if not open_ones:  # its beginning was not told: it ends here, so it began that much earlier
            stage.begun = event.at - stage.seconds
            self.stages.append(stage)

    def _take_node(self, event: Event) -> None:
        instance = str(event.facts.get("instance", event.where))
        room = str(event.facts.get("room", ""))
        if instance not in self.nodes:
            number = 1 + sum(one.room == room for one in self.nodes.values())
            name = f"{room or 'node'}-{number}"
            self.nodes[instance] = Node(name=name, instance=instance, room=room, came=event.at)
        node = self.nodes[instance]
        node.address = str(event.facts.get("address", "") or node.address)
        node.does = str(event.facts.get("does", node.does))
        if "state" in event.facts:
            node.state = str(event.facts["state"])
        if node.state == OVER:
            node.does, node.went = "", node.went or event.at

    def _take_health(self, event: Event) -> None:
        node = self.nodes.get(str(event.facts["instance"]))
        if node and node.state != OVER:
            node.does = SERVING.get(str(event.facts["health"]), str(event.facts["health"]))

    def _take_loss(self, event: Event) -> None:
        step = int(event.facts["step"])
        while self.losses and self.losses[-1][0] >= step:
            self.losses.pop()
        self.losses.append((step, float(event.facts["loss"])))
        self.steps = int(event.facts.get("steps", 0)) or self.steps


def seen(events: Iterable[Event]) -> Scene:
    """Return how things stand after some events."""
    scene = Scene()
    scene.take(events)
    return scene
