"""What happened where, a line each: printed while it happens where there is no terminal, and by `status` afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.text import Text

from infra.rehearsal.scene import Scene
from infra.rehearsal.story import Event

SELDOM_SECONDS = {"loss": 10.0, "request": 5.0}
"""Of events that come by the dozen, one is shown in so many seconds."""
INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")
"""An instance's id."""
HIDDEN = {"result"}
"""Kinds that are for programs alone."""
MARKS = {"begun": "▸ ", "done": "✓ ", "failed": "✗ "}
"""Before a stage's name, by its state."""
STYLES = {"fault": "bold red", "denied": "red", "alarm": "magenta", "stage": "bold", "release": "green"}


class Timeline:
    """Lines of a story, in its order."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        self.scene = Scene()
        self._shown: dict[str, float] = {}

    def lines(self, events: Iterable[Event]) -> list[Text]:
        """Return the lines of what happened next; of some kinds only one now and then."""
        found = []
        for event in events:
            self.scene.take([event])
            every = SELDOM_SECONDS.get(event.kind, 0.0)
            if event.kind in HIDDEN or event.facts.get("state") == "pending":
                continue  # what is pending boots at once
            if event.at - self._shown.get(event.kind, float("-inf")) < every:
                continue
            self._shown[event.kind] = event.at
            found.append(line(self.scene, event))
        return found


def line(scene: Scene, event: Event) -> Text:
    """Return one event: when, in seconds since the beginning; where; what."""
    state = str(event.facts.get("state", "")) if event.kind == "stage" else ""
    style = "bold red" if state == "failed" else STYLES.get(event.kind, "")
    return Text.assemble(
        (f"{clock(event.at - scene.begun):>7}", "dim"),
        f"  {scene.place(event):<9} ",
        (f"{MARKS.get(state, '')}{named(scene, event.what)}", style),
    )


def named(scene: Scene, what: str) -> str:
    """Return a text in one line, in which nodes are called by their names instead of their ids."""
    return INSTANCE.sub(lambda found: scene.name(found[0]), " ".join(what.split()))


def clock(seconds: float) -> str:
    """Return a time of a few minutes as people read it: 3:07.4."""
    minutes, rest = divmod(max(round(seconds, 1), 0.0), 60)
    return f"{minutes:.0f}:{rest:04.1f}"
