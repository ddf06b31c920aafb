"""What AWS asks for things, from a dated table beside this file: on-demand and spot by region, and all else. Pure."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("prices.json")
"""The table, with its date; every figure in it names its source."""
FALLBACK = "us-east-1"
"""Region whose prices stand in for one that the table does not have."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """What an instance type costs in a region, in US dollars an hour."""

    on_demand: float
    """Linux, on demand."""
    spot_low: float
    """As a spot node, where and when it was cheapest."""
    spot_high: float
    """As a spot node, where and when it was dearest; never above on demand."""
    remembered: bool
    """Whether a figure of it is from memory and still to be checked."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """The prices of one region."""

    region: str
    """Whose prices these are."""
    asked: str
    """The region that was asked for: another one where the table does not have it."""

    def instance(self, name: str) -> Instance | None:
        """Return what a type costs; None where it is not sold here, or only in capacity blocks."""
        table = _table()
        family = table["regions"][self.region]["families"].get(name.split(".")[0])
        reference = table["instances"].get(name)
        if family is None or reference is None:
            return None
        price, source = reference
        on_demand = price * family["factor"]
        low, high = family["spot"] or table["unseen_spot"]
        return Instance(
            on_demand=on_demand,
            spot_low=on_demand * low,
            spot_high=on_demand * high,
            remembered="memory" in (source, family["source"]),
        )

    def of(self, what: str) -> float:
        """Return a price by its name in the table, as `nat_hour`."""
        table = _table()
        price, _ = {**table["anywhere"], **table["regions"][self.region]["services"]}[what]
        return float(price)


def prices(region: str) -> Prices:
    """Return a region's prices, or those of us-east-1 where the table does not have the region."""
    known = region in _table()["regions"]
    return Prices(region=region if known else FALLBACK, asked=region)


def regions() -> list[str]:
    """Return the regions that the table has."""
    return list(_table()["regions"])


def price_date() -> str:
    """Return the day that the table was put together, as 2026-11-24."""
    return str(_table()["date"])


@functools.cache
def _table() -> dict[str, Any]:
    return dict(json.loads(TABLE.read_text()))
