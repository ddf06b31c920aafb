"""What a stack costs, before it is launched: each part by the hour and by the month, from dated prices. Pure.

An estimate: it knows what the settings ask for, not what will be used of it. What depends on use stands in `Usage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infra.cost_parts import Group, Part, Usage, fixed, nodes, notes, stored, volumes
from infra.prices import price_date, prices
from infra.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a stack may cost."""

    stack: str
    """The stack's name."""
    region: str
    """Where it is."""
    hours: float
    """Hours of a month that nodes run."""
    parts: Sequence[Part]
    """The lines, dearest kind first."""
    notes: Sequence[str]
    """What the reader must know: prices that are missing, borrowed, or not yet checked."""
    price_date: str
    """Day of the price table."""

    @property
    def hour(self) -> tuple[float, float]:
        """Lowest and highest cost of an hour in which nodes run."""
        return sum(part.low for part in self.parts), sum(part.high for part in self.parts)

    @property
    def month(self) -> tuple[float, float]:
        """Lowest and highest cost of a month."""
        months = [part.month(self.hours) for part in self.parts]
        return sum(low for low, _ in months), sum(high for _, high in months)

    def as_output(self) -> dict[str, Any]:
        """Return it as a stack output: rounded, and said to be an estimate."""
        return {
            "isAnEstimate": f"from prices of {self.price_date}, without taxes, discounts and data sent out",
            "region": self.region,
            "priceDate": self.price_date,
            "nodeHoursPerMonth": self.hours,
            "usdPerHour": _rounded(self.hour),
            "usdPerMonth": _rounded(self.month),
            "parts": {
                part.name: {
                    "usdPerHour": _rounded((part.low, part.high), digits=4),
                    "usdPerMonth": _rounded(part.month(self.hours)),
                }
                for part in self.parts
            },
            "notes": list(self.notes),
        }


def estimate(settings: Settings, usage: Usage | None = None) -> Estimate:
    """Return what a stack of these settings may cost.

    Args:
        settings: of the stack.
        usage: what will be used; None: the defaults of `Usage`.
    """
    here, used = prices(settings.region), usage or Usage()
    parts = [
        nodes("training nodes", here, Group.training(settings)),
        nodes("serving nodes", here, Group.serving(settings)),
        volumes("training volumes", here, settings, settings.train_volume_gb, settings.train_nodes, 1),
        volumes(
            "serving volumes",
            here,
            settings,
            settings.serve_volume_gb,
            settings.serve_max_nodes,
            settings.serve_min_nodes / settings.serve_max_nodes,
        ),
        *fixed(here, settings, used),
        *stored(here, settings, used),
    ]
    return Estimate(
        stack=settings.stack,
        region=settings.region,
        hours=settings.hours_per_month,
        parts=[part for part in parts if part.high],
        notes=notes(here, settings),
        price_date=price_date(),
    )


def _rounded(both: tuple[float, float], digits: int = 2) -> list[float]:
    return [round(one, digits) for one in both]
