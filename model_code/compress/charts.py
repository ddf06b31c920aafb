"""The report's two pictures as inline SVG: how much each layer is needed, and quality against cost."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter
from matplotlib.transforms import Bbox

INK, MUTED, GRID = "#1c2733", "#66727f", "#e3e8ee"
PASSED, REFUSED, CHOSEN, SAFE, FRONT = "#2f7dc4", "#a3adb8", "#d9480f", "#7aa7d1", "#c3ccd6"
PLACES = tuple(
    (
        side * across,
        up,
        {1: "left", 0: "center", -1: "right"}[side],
        {0: "center"}.get(up, "bottom" if up > 0 else "top"),
    )
    for across, up in (
        (8, 0),
        (0, 8),
        (0, -8),
        (8, 9),
        (8, -9),
        (0, 20),
        (0, -20),
        (8, 20),
        (8, -20),
        (8, 31),
        (8, -31),
    )
    for side in ((1, -1) if across else (0,))
)
"""Where a name may stand: offset from its point in typographic points, and alignment; the best places first."""
MOST_LAYERS = 40
"""Bars of the sensitivity chart; of a deeper network the most sensitive layers are shown."""
FONT: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "skylift",
}


def sensitivity_chart(analysis: dict[str, Any], threshold: float) -> str:
    """Return a bar a layer: the share of its quality that the network keeps without most of the layer.

    Args:
        analysis: `share` and `sensitivity` of the report.
        threshold: ratio below which a layer counts as sensitive.
    """
    layers = analysis["sensitivity"]
    worst = {row["layer"] for row in sorted(layers, key=lambda row: row["ratio"])[:MOST_LAYERS]}
    shown = [row for row in layers if row["layer"] in worst][::-1]
    with mpl.rc_context(FONT):
        figure = Figure(figsize=(8.2, 0.9 + 0.27 * max(len(shown), 2)), layout="constrained")
        axes = figure.subplots()
        ratios = [min(max(row["ratio"], 0.0), 1.2) for row in shown]
        colours = [CHOSEN if ratio < threshold else SAFE for ratio in ratios]
        axes.barh(range(len(shown)), ratios, color=colours, height=0.66)
        axes.set_yticks(range(len(shown)), [short(row["layer"]) for row in shown])
        for place, (row, ratio) in enumerate(zip(shown, ratios, strict=True)):
            axes.text(ratio + 0.008, place, f"{row['ratio']:.1%}", va="center", color=INK, fontsize=8.5)
        axes.axvline(threshold, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_xlim(0, max([1.0, *ratios]) + 0.09)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel(f"quality kept without {analysis['share']:.0%} of the layer, no fine-tuning")
        _clean(axes, "x")
        return _svg(figure)


def pareto_chart(report: dict[str, Any]) -> str:
    """Return every candidate as a point: cost to the right, share of the baseline's quality upwards."""
    rows = report["candidates"]
    with mpl.rc_context(FONT):
        figure = Figure(figsize=(8.2, 4.6), layout="constrained")
        axes = figure.subplots()
        points = [(1.0, 1.0, "uncompressed", INK, "s")]
        for row in rows:
            chosen = row["name"] == report["chosen"]
            colour = CHOSEN if chosen else PASSED if row["passed"] else REFUSED
            points.append((row["cost"], row["ratio"], row["name"], colour, "*" if chosen else "o"))
        required = report["required_ratio"]
        low, high = _quality_range([point[1] for point in points], required)
        front = pareto_front([(cost, ratio) for cost, ratio, *_ in points])
        axes.step(*zip(*front, strict=True), where="post", color=FRONT, linewidth=2, zorder=1)
        if required <= high:
            axes.axhspan(required, high, color="#eef6ee", zorder=0)
            axes.axhline(required, color="#4d8a56", linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
            axes.text(0.995, required, f"the gate: {required:.1%} ", transform=axes.get_yaxis_transform(),
                      ha="right", va="bottom", color="#3c6e44", fontsize=8.5)  # fmt: skip
        for cost, ratio, _, colour, marker in points:
            size = 190 if marker == "*" else 52
            axes.scatter(cost, max(ratio, low), s=size, color=colour, marker=marker, zorder=3, linewidths=0)
        axes.set_xscale("log")
        axes.set_ylim(low, high)
        costs = [point[0] for point in points]
        axes.set_xlim(min(costs) / 1.25, max(costs) * 1.6)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
        axes.xaxis.set_minor_locator(NullLocator())
        left, right = axes.get_xlim()
        ticks = [t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10) if left <= t <= right]
        axes.set_xticks(ticks)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1 if high - low < 0.12 else 0))
        axes.set_xlabel("cost relative to the uncompressed model (size and both latencies; left is cheaper)")
        axes.set_ylabel("quality relative to it")
        _clean(axes, "both")
        _legend(axes, {(colour, marker) for *_, colour, marker in points})
        _label(axes, [(cost, max(ratio, low), name) for cost, ratio, name, *_ in points])
        return _svg(figure)


def pareto_front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that no other one beats in both cost and quality, by rising cost."""
    front: list[tuple[float, float]] = []
    for cost, ratio in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or ratio > front[-1][1]:
            front.append((cost, ratio))
    return front


def short(name: str) -> str:
    """Return a layer's name without the parts that all names share."""
    return re.sub(r"^(body\.)?(encoder\.|model\.|transformer\.)*", "", name)


def _quality_range(ratios: list[float], required: float) -> tuple[float, float]:
    """Return the axis: all of it where candidates are close, cut off below where one is hopeless."""
    near = [ratio for ratio in ratios if ratio > 0.9] or ratios
    low, high = min([*near, min(required, 1.0)]), max([*ratios, min(required, 1.1)])
    margin = max(0.006, 0.12 * (high - low))
    return low - margin, high + margin


def _legend(axes: Axes, looks: set[tuple[str, str]]) -> None:
    kinds = {"released": (CHOSEN, "*"), "passes": (PASSED, "o"), "refused": (REFUSED, "o")}
    shown = {kind: look for kind, look in kinds.items() if look in looks}
    for kind, (colour, marker) in shown.items():
        axes.scatter(
            [], [], s=110 if marker == "*" else 45, color=colour, marker=marker, linewidths=0, label=kind
        )
    if shown:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(shown), frameon=False, labelcolor=INK,
                    handletextpad=0.2, columnspacing=1.2, borderaxespad=0.1)  # fmt: skip


def _label(axes: Axes, points: list[tuple[float, float, str]]) -> None:
    """Write each name at the first place beside its point where it covers no other point and no other name."""
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("axes to be labelled must belong to a figure")
    figure.draw_without_rendering()
    spots = [axes.transData.transform((cost, ratio)) for cost, ratio, _ in points]
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in spots]
    for own, (cost, ratio, name) in enumerate(points):
        others = taken[:own] + taken[own + 1 :]
        for dx, dy, across, up in PLACES:
            text = axes.annotate(
                name, (cost, ratio), (dx, dy), textcoords="offset points", ha=across, va=up, color=INK, fontsize=8.5,
                zorder=4,
            )  # fmt: skip
            box = text.get_window_extent()
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 and axes.bbox.y0 <= box.y0
            if inside and not any(box.overlaps(other) for other in others):
                break
            text.remove()
        else:  # too crowded: better on top of another name than nameless
            text = axes.annotate(
                name, (cost, ratio), (8, 0), textcoords="offset points", va="center", color=INK, fontsize=8.5
            )
        taken.append(text.get_window_extent())


def _clean(axes: Axes, grid: Any) -> None:  # noqa: ANN401 - matplotlib's literal
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(colors=MUTED, labelcolor=INK, length=0)
    axes.grid(axis=grid, color=GRID, linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.xaxis.label.set_color(MUTED)
    axes.yaxis.label.set_color(MUTED)


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
