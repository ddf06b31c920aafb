"""How the report's charts look: one font, few lines, and colours that the page decides, for light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 9.2
"""Of every chart, in inches: so all have letters of one size on the page."""
COLOURS = {
    "ink": "#1c2733",
    "muted": "#5d6975",
    "grid": "#e3e8ed",
    "paper": "#fffffe",
    "blue": "#0072b2",
    "green": "#007a5a",
    "orange": "#b84a00",
    "purple": "#8f4a78",
    "slate": "#4a5a6a",
    "grey": "#6b7783",
    "band": "#eef6f1",
    "red": "#b3261e",
}
"""Name of a colour of the page (`--ink`) -> its value in light. After Okabe and Ito, dark enough for white letters."""
FONT: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "skylift",
}


@contextmanager
def drawing(height: float) -> Iterator[tuple[Figure, Axes]]:
    """Give an empty chart of a height in inches, with nothing but two axes and a grid."""
    with mpl.rc_context(FONT):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(COLOURS["grid"])
        axes.tick_params(colors=COLOURS["muted"], labelcolor=COLOURS["ink"], length=0)
        axes.grid(axis="y", color=COLOURS["grid"], linewidth=0.8, zorder=0)
        axes.set_axisbelow(True)
        for axis in (axes.xaxis, axes.yaxis):
            axis.label.set_color(COLOURS["muted"])
        yield figure, axes


def svg(figure: Figure) -> str:
    """Return a chart as inline SVG whose colours are the page's variables."""
    out = io.StringIO()
    with mpl.rc_context(FONT):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(
        r' id="[a-zA-Z0-9]+_\d+"', "", text
    )  # the page has several charts, and nothing refers to these
    for name, value in COLOURS.items():
        text = text.replace(value, f"var(--{name})")
    return text
