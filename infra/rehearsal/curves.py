"""A curve in a few lines of a terminal. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"


def curve(values: Sequence[float], *, width: int, height: int) -> list[str]:
    """Return bars from the lowest to the highest value, as lines of text.

    Args:
        values: oldest first; more of them than columns are averaged, fewer are drawn as they are.
        width: columns, 1 or more.
        height: lines, 1 or more.
    """
    if not values:
        return [" " * width] * height
    columns = _averaged(values, width)
    low, high = min(columns), max(columns)
    steps = height * (len(BLOCKS) - 1)
    # The lowest value is one step high: an empty column means that there is no value.
    tall = [1 + round((one - low) / ((high - low) or 1) * (steps - 1)) for one in columns]
    lines = []
    for line in reversed(range(height)):
        base = line * (len(BLOCKS) - 1)
        lines.append("".join(BLOCKS[min(max(one - base, 0), len(BLOCKS) - 1)] for one in tall).ljust(width))
    return lines


def _averaged(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    edges = [round(place * len(values) / width) for place in range(width + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
