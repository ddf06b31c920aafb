"""The report's timeline, as inline SVG: a lane a place, a bar for what went on, a mark for each fault."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from infra.rehearsal.report.drawing import COLOURS, WIDTH, drawing, svg
from infra.rehearsal.report.lanes import Bar, Kind, Lane

COLOUR: dict[Kind, str] = {
    "stage": "slate",
    "failed": "red",
    "boot": "grey",
    "wait": "grid",
    "train": "blue",
    "compress": "purple",
    "serve": "green",
    "requests": "orange",
    "end": "grey",
}
"""Kind of a bar -> its colour."""
LANE = 0.3
"""Inches."""
LETTER = 0.074
"""Inches of a letter of a bar's label, a little more than they are: what does not fit is left out."""


def timeline_chart(lanes: Sequence[Lane]) -> str:
    """Return the lanes, the first on top, over the seconds since the beginning."""
    end = max((bar.ended for lane in lanes for bar in lane.bars), default=1.0)
    with drawing(0.6 + LANE * len(lanes)) as (figure, axes):
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", color=COLOURS["grid"], linewidth=0.8)
        a_second = (WIDTH - 1.0) / end  # the names take about an inch
        for place, lane in enumerate(lanes):
            for bar in lane.bars:
                _draw(axes, place, bar, a_second)
            for mark in lane.marks:
                axes.scatter(
                    mark.at, place - 0.3, s=42, marker="v", color=COLOURS["red"], zorder=5, linewidths=0
                )
                axes.annotate(
                    mark.label, (mark.at, place - 0.3), (6, 3), textcoords="offset points", va="center",
                    color=COLOURS["red"], fontsize=8.5, zorder=5,
                )  # fmt: skip
        axes.set_yticks(range(len(lanes)), [lane.name for lane in lanes])
        axes.set_ylim(len(lanes) - 0.4, -0.75)
        axes.set_xlim(0, end)
        axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 1.5, 3, 6, 10], integer=True))
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{int(value) // 60}:{int(value) % 60:02}")
        )
        axes.set_xlabel("minutes since the beginning")
        return svg(figure)


def _draw(axes: Axes, place: int, bar: Bar, a_second: float) -> None:
    seconds = bar.ended - bar.begun
    axes.barh(
        place, seconds, left=bar.begun, height=0.66, color=COLOURS[COLOUR[bar.kind]], zorder=2, linewidth=0.8,
        edgecolor=COLOURS["paper"],
    )  # fmt: skip
    if bar.label and len(bar.label) * LETTER < seconds * a_second:
        colour = COLOURS["ink"] if bar.kind == "wait" else "white"
        middle = bar.begun + seconds / 2
        axes.text(middle, place, bar.label, ha="center", va="center", color=colour, fontsize=8.5, zorder=4)
