"""The report's charts of figures, as inline SVG: the loss, quality against cost, the latency of requests."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator, PercentFormatter
from matplotlib.transforms import Bbox

from infra.rehearsal.closing import percentiles
from infra.rehearsal.report.drawing import COLOURS, drawing, svg
from infra.rehearsal.result import Release, Serving

TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
PLACES = (
    (8, 0, "left", "center"),
    (-8, 0, "right", "center"),
    (0, 8, "center", "bottom"),
    (0, -8, "center", "top"),
)
"""Where a name may stand beside its point: to the right if it can."""


def loss_chart(losses: Sequence[tuple[int, float]], restarts: Sequence[int]) -> str:
    """Return the loss of every step that was told.

    Args:
        losses: step and loss, by rising step.
        restarts: steps after which the nodes started again.
    """
    steps, values = zip(*losses, strict=True)
    with drawing(2.7) as (figure, axes):
        axes.plot(steps, values, color=COLOURS["blue"], linewidth=1.8, zorder=3)
        axes.scatter(steps[-1:], values[-1:], s=26, color=COLOURS["blue"], zorder=4)
        axes.annotate(
            f"{values[-1]:.3g}", (steps[-1], values[-1]), (7, 0), textcoords="offset points", va="center",
            color=COLOURS["ink"],
        )  # fmt: skip
        for number, step in enumerate(restarts):
            axes.axvline(step, color=COLOURS["orange"], linewidth=1.2, linestyle=(0, (4, 3)), zorder=2)
            if number == 0:
                axes.annotate(
                    "nodes started again", (step, 1), (4, -2), xycoords=("data", "axes fraction"),
                    textcoords="offset points", va="top", color=COLOURS["orange"], fontsize=8.5,
                )  # fmt: skip
        axes.set_xlim(0, steps[-1] * 1.06)
        axes.set_ylim(bottom=min(0.0, *values))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_xlabel("optimizer step")
        axes.set_ylabel("training loss")
        return svg(figure)


def pareto_chart(release: Release) -> str:
    """Return every candidate as a point: cost to the right, quality upwards, the gate as a line."""
    base = release.baseline
    rows = [(base.cost, base.ratio, "uncompressed", "ink", "s")]
    for one in release.candidates:
        colour = "orange" if one.name == release.chosen else "blue" if one.passed else "grey"
        rows.append((one.cost, one.ratio, one.name, colour, "*" if one.name == release.chosen else "o"))
    near = [ratio for _, ratio, *_ in rows if ratio > 0.9]
    low, high = min([*near, release.required]), max(ratio for _, ratio, *_ in rows)
    margin = max(0.006, 0.14 * (high - low))
    low, high = low - margin, high + margin
    with drawing(3.6) as (figure, axes):
        axes.axhspan(release.required, high, color=COLOURS["band"], zorder=0, linewidth=0)
        axes.axhline(release.required, color=COLOURS["green"], linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        axes.text(
            0.995, release.required, f"the gate: {100 * release.required:.4g} % of the quality ",
            transform=axes.get_yaxis_transform(), ha="right", va="bottom", color=COLOURS["green"], fontsize=8.5,
        )  # fmt: skip
        for cost, ratio, _, colour, marker in rows:
            size = 200 if marker == "*" else 50
            axes.scatter(
                cost, max(ratio, low), s=size, color=COLOURS[colour], marker=marker, zorder=3, linewidths=0
            )
        costs = [cost for cost, *_ in rows]
        axes.set_xscale("log")
        axes.set_xlim(min(costs) / 1.25, max(costs) * 1.5)
        axes.set_ylim(low, high)
        axes.xaxis.set_minor_locator(NullLocator())
        left, right = axes.get_xlim()
        axes.set_xticks([one for one in TICKS if left <= one <= right])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1 if high - low < 0.12 else 0))
        axes.set_xlabel("cost relative to the uncompressed network: size and latency (left is cheaper)")
        axes.set_ylabel("quality relative to it")
        _name(axes, [(cost, max(ratio, low), name) for cost, ratio, name, *_ in rows])
        return svg(figure)


def latency_chart(serving: Serving) -> str:
    """Return how many requests took how long, with p50 and p99."""
    p50, p99 = percentiles(serving)
    end = max(p99 * 1.15, p50 * 2)
    slower = sum(one > end for one in serving.latencies_ms)
    with drawing(2.7) as (figure, axes):
        axes.hist(
            [one for one in serving.latencies_ms if one <= end], bins=48, range=(0, end), color=COLOURS["blue"],
            rwidth=0.88, zorder=2,
        )  # fmt: skip
        for name, value, side in (("p50", p50, "left"), ("p99", p99, "right" if p99 > 0.8 * end else "left")):
            axes.axvline(value, color=COLOURS["orange"], linewidth=1.4, zorder=3)
            offset = 4 if side == "left" else -4
            axes.annotate(
                f"{name} {value:.1f} ms", (value, 1), (offset, -2), xycoords=("data", "axes fraction"), ha=side,
                textcoords="offset points", va="top", color=COLOURS["orange"], fontsize=8.5,
            )  # fmt: skip
        axes.set_xlim(0, end)
        axes.set_ylim(top=axes.get_ylim()[1] * 1.12)  # room for the words
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        more = f"; {slower} took longer than {end:.0f} ms" if slower else ""
        axes.set_xlabel(f"milliseconds from sending to the last byte, as the client saw it{more}")
        axes.set_ylabel("requests")
        return svg(figure)


def _name(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Write each name beside its point, where it covers no other point and no other name if there is such a place."""
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("axes to be named must belong to a figure")
    figure.draw_without_rendering()
    spots = [axes.transData.transform((cost, ratio)) for cost, ratio, _ in points]
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in spots]
    for own, (cost, ratio, name) in enumerate(points):
        others = taken[:own] + taken[own + 1 :]
        for place, (dx, dy, across, up) in enumerate(PLACES):
            text = axes.annotate(
                name, (cost, ratio), (dx, dy), textcoords="offset points", ha=across, va=up, color=COLOURS["ink"],
                fontsize=8.5, zorder=4,
            )  # fmt: skip
            box = text.get_window_extent()
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
            free = inside and not any(box.overlaps(other) for other in others)
            if free or place == len(PLACES) - 1:  # too crowded: better on top of another name than nameless
                taken.append(box)
                break
            text.remove()
