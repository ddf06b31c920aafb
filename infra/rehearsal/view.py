"""What people see while a rehearsal runs: the timeline, line by line, and below it, in a terminal, how things stand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from infra.rehearsal.curves import curve
from infra.rehearsal.scene import OVER, Node, Scene, Stage
from infra.rehearsal.story import Event, read
from infra.rehearsal.timeline import Timeline, clock

LOOK_SECONDS = 0.25
"""Between two looks at the story's file."""
DRAWINGS_PER_S = 2
"""How often the picture is redrawn: its clocks tick, and the machine has better things to do."""
CURVE = 3
"""Lines of the loss curve."""
BETWEEN = "   "
"""Of two stages."""
LABELS = 10
"""Columns of what stands before a curve or a figure."""


def follow(path: Path, console: Console, until: Callable[[], bool]) -> None:
    """Show what happens until it is over.

    Args:
        path: the story's file, there or not yet.
        console: where to show it: a picture stands below the lines where it is a terminal.
        until: tells whether it is over; asked between two looks, and all that was told before is still shown.
    """
    timeline, offset, pause = Timeline(), 0, threading.Event()
    picture = Picture(timeline.scene)
    lively = console.is_terminal and not console.is_dumb_terminal
    live = (
        Live(picture, console=console, refresh_per_second=DRAWINGS_PER_S, transient=True) if lively else None
    )
    try:
        if live:
            live.start()
        over = False
        while True:
            events, offset = read(path, offset)
            show(console, timeline, events)
            if over:
                return
            over = until()
            if not over:
                pause.wait(LOOK_SECONDS)
    finally:
        if live:
            live.stop()


def show(console: Console, timeline: Timeline, events: list[Event]) -> None:
    """Print the lines of what happened next."""
    for line in timeline.lines(events):
        console.print(line, soft_wrap=not console.is_terminal)


class Picture:
    """How things stand, as a few lines; it grows with what there is to say, and never shrinks."""

    def __init__(self, scene: Scene) -> None:
        """Draw a scene, whatever becomes of it."""
        self._scene = scene
        self._rows = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        scene = self._scene
        now = max(scene.now, time.time()) if scene.begun and not scene.result else scene.now
        yield Rule(Text(f"rehearsal {clock(now - scene.begun)[:-2]}", "bold"), align="left", style="dim")
        yield from stages_lines(scene.stages, now, options.max_width)
        nodes = shown_nodes(scene)
        self._rows = max(self._rows, len(nodes))
        if nodes:
            yield nodes_table(nodes)
        yield from [Text(" ")] * (self._rows - len(nodes))
        if scene.losses:
            yield from loss_lines(scene, options.max_width)
        if scene.requests:
            yield requests_line(scene.requests)


def stages_lines(stages: list[Stage], now: float, width: int) -> list[Text]:
    """Return the stages so far with their time: those that are over, those that go on, those that failed."""
    lines: list[Text] = []
    for stage in stages:
        going = stage.seconds is None
        seconds = now - stage.begun if stage.seconds is None else stage.seconds
        mark, style = ("✗", "bold red") if stage.failed else ("▸", "bold") if going else ("✓", "green")
        words = Text(f"{mark} {stage.name} {clock(seconds)[:-2]}", style)
        if lines and lines[-1].cell_len + len(BETWEEN) + words.cell_len <= width:
            lines[-1] = Text(BETWEEN).join([lines[-1], words])
        else:
            lines.append(words)
    return lines


def shown_nodes(scene: Scene) -> list[Node]:
    """Return the nodes that live; once the last one is gone, none."""
    return [node for node in scene.nodes.values() if node.state != OVER]


def nodes_table(nodes: list[Node]) -> Table:
    """Return a line a node: name, id, address, state, what it does."""
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for _ in range(4):
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
    for node in nodes:
        style = "" if node.state == "running" else "dim"
        table.add_row(
            Text(node.name, "bold"), node.instance, node.address, node.state, node.does, style=style
        )
    return table


def loss_lines(scene: Scene, width: int) -> list[Text]:
    """Return the loss as a curve, beside it the last value and the step."""
    step, loss = scene.losses[-1]
    labels = ["loss", f"{loss:.4g}", f"{step}/{scene.steps}" if scene.steps else f"step {step}"]
    values = [value for _, value in scene.losses]
    drawn = curve(values, width=max(width - LABELS - 1, 1), height=CURVE)
    return [
        Text.assemble((label.ljust(LABELS)[:LABELS], "dim" if place == 0 else ""), (one, "cyan"))
        for place, (label, one) in enumerate(zip(labels, drawn, strict=True))
    ]


def requests_line(event: Event) -> Text:
    """Return what the load balancer has done so far."""
    facts = event.facts
    failed = int(facts.get("failed", 0))
    figures = [f"{int(facts.get('answered', 0)):,} answered"]
    if "per_s" in facts:
        figures.append(f"{float(facts['per_s']):.0f}/s")
    if "p50_ms" in facts:
        figures.append(f"p50 {float(facts['p50_ms']):.1f} ms")
    return Text.assemble(
        ("requests".ljust(LABELS), "dim"),
        "  ".join(figures),
        (f"  {failed} failed", "bold red" if failed else ""),
    )
