"""What a rehearsal would have cost on AWS: its node hours and its hours, at the prices of `skylift cost`. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from infra.cost import estimate
from infra.rehearsal.result import Cost, CostPart
from infra.settings import Settings

GROUPS = {
    "train": ("training nodes", "training volumes"),
    "serve": ("serving nodes", "serving volumes"),
}
"""Lines of an estimate that are paid by the node hour, by room."""


def run_cost(settings: Settings, node_hours: Mapping[str, float], hours: float) -> Cost:
    """Return what the same hours cost on the instance types that the settings name.

    Args:
        settings: of the stack.
        node_hours: hours of all nodes together, by room (`train`, `serve`).
        hours: from `up` to `destroy`. What AWS bills by the hour (NAT, balancer, endpoints) is counted in whole ones.
    """
    all_nodes = replace(settings, serve_min_nodes=settings.serve_max_nodes)
    found = estimate(all_nodes)
    counts = {"train": settings.train_nodes, "serve": settings.serve_max_nodes}
    rooms = {name: room for room, names in GROUPS.items() for name in names}
    parts = []
    for part in found.parts:
        if room := rooms.get(part.name):
            ran = node_hours.get(room, 0.0)
            low, high = (cost / counts[room] * ran for cost in (part.low, part.high))
            note = f"{ran * 60:.1f} node minutes; {part.note}"
            parts.append(CostPart(name=part.name, low=low, high=high, note=note))
    whole = max(math.ceil(hours), 1)
    rest = [part for part in found.parts if part.name not in rooms]
    low, high = (whole * sum(getattr(part, end) for part in rest) for end in ("low", "high"))
    words = f"{', '.join(part.name for part in rest)}: {whole} h begun"
    parts.append(CostPart(name="all else", low=low, high=high, note=words))
    return Cost(region=found.region, price_date=found.price_date, parts=tuple(parts))
