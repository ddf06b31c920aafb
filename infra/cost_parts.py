"""The lines of a bill: what each part of a stack costs by the hour, at best and at worst. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from infra.endpoint_policies import CALLS
from infra.prices import Instance, Prices
from infra.settings import Settings

MONTH = 730
"""Hours of a month, as AWS counts."""
FREE_IOPS, FREE_MIBS = 3000, 125
"""Of a gp3 volume."""
ALARM_METRICS, OWN_METRICS = 13, 13
"""Series that the alarms watch, and series that nodes write."""
FIREWALL_RULES = 3
"""Rules of the web application firewall."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What will be used, as far as settings cannot know it; all by the month."""

    stored_gb: float = 100
    """GB in the buckets: data, checkpoints, releases, logs."""
    nat_gb: float = 50
    """GB through NAT: packages, mostly."""
    log_gb: float = 5
    """GB of logs."""
    million_requests: float = 1
    """Millions of requests to the load balancer."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One line of a bill."""

    name: str
    """What costs."""
    low: float
    """US dollars an hour, at best: the fewest nodes, the cheapest type, the lowest spot price seen."""
    high: float
    """US dollars an hour, at worst: all nodes, the dearest type, the highest spot price seen."""
    always: bool
    """Whether it costs day and night, or only in the hours that nodes run."""
    note: str = ""
    """How it was counted."""

    def month(self, hours: float) -> tuple[float, float]:
        """Return lowest and highest cost of a month in which nodes run so many hours."""
        counted = MONTH if self.always else hours
        return self.low * counted, self.high * counted


@dataclass(frozen=True, kw_only=True)
class Group:
    """A group of nodes, as a bill sees it."""

    types: Sequence[str]
    """Instance types."""
    fewest: int
    """Nodes at best."""
    most: int
    """Nodes at worst."""
    base: int
    """Nodes that are never spot."""
    percentage: int
    """Share of the others that are not spot."""

    @classmethod
    def training(cls, settings: Settings) -> Group:
        """Return the training group: at full size, while it runs."""
        return cls(
            types=settings.train_instance_types,
            fewest=settings.train_nodes,
            most=settings.train_nodes,
            base=settings.train_nodes if settings.capacity_block else settings.train_on_demand_base,
            percentage=settings.train_on_demand_percentage,
        )

    @classmethod
    def serving(cls, settings: Settings) -> Group:
        """Return the serving group: between its floor and its ceiling."""
        return cls(
            types=settings.serve_instance_types,
            fewest=settings.serve_min_nodes,
            most=settings.serve_max_nodes,
            base=settings.serve_on_demand_base,
            percentage=settings.serve_on_demand_percentage,
        )

    def split(self, count: int) -> tuple[int, int]:
        """Return how many of so many nodes are on demand, and how many spot; Auto Scaling rounds up."""
        base = min(self.base, count)
        on_demand = base + math.ceil((count - base) * self.percentage / 100)
        return on_demand, count - on_demand


def nodes(name: str, here: Prices, group: Group) -> Part:
    """Return the nodes' line: at best all of the cheapest type, at worst all of the dearest."""
    known = [found for one in group.types if (found := here.instance(one))]
    if not known:
        return Part(name=name, low=0, high=0, always=False)
    best = min(known, key=lambda one: _cost(group, group.fewest, one, low=True))
    worst = max(known, key=lambda one: _cost(group, group.most, one, low=False))
    on_demand, spot = group.split(group.most)
    ranges = group.fewest != group.most
    count, at_most = (f"{group.fewest} to {group.most}", " at most") if ranges else (str(group.most), "")
    return Part(
        name=name,
        low=_cost(group, group.fewest, best, low=True),
        high=_cost(group, group.most, worst, low=False),
        always=False,
        note=f"{count} x {' or '.join(group.types)}: {on_demand} on demand, {spot} spot{at_most}",
    )


def volumes(name: str, here: Prices, settings: Settings, gb: int, count: int, fewest_share: float) -> Part:
    """Return the root volumes' line: gp3, with what is above its free operations and throughput."""
    month = (
        gb * here.of("volume_gb_month")
        + (settings.volume_iops - FREE_IOPS) * here.of("volume_iops_month")
        + (settings.volume_throughput - FREE_MIBS) * here.of("volume_mibs_month")
    )
    high = count * month / MONTH
    note = f"a node {gb} GiB gp3, {settings.volume_iops} IOPS, {settings.volume_throughput} MiB/s"
    return Part(name=name, low=high * fewest_share, high=high, always=False, note=note)


def fixed(here: Prices, settings: Settings, used: Usage) -> list[Part]:
    """Return what costs as long as the stack exists: the ways in and out, keys, watching."""
    gateways = {"one": 1, "per-zone": settings.zones, "none": 0}[settings.nat]
    doors = len(CALLS) * settings.zones
    addresses = gateways + (settings.zones if settings.public else 0)
    nat = gateways * here.of("nat_hour") + (used.nat_gb * here.of("nat_gb") / MONTH if gateways else 0)
    keys = 3 if settings.second_region else 2
    watching = (
        used.log_gb * here.of("log_gb")
        + ALARM_METRICS * here.of("alarm_metric_month")
        + OWN_METRICS * here.of("metric_month")
        + settings.dashboard * here.of("dashboard_month")
    )
    firewall = settings.waf * (
        here.of("firewall_month")
        + FIREWALL_RULES * here.of("firewall_rule_month")
        + used.million_requests * here.of("firewall_million")
    )
    balancer = here.of("balancer_hour")
    return [
        _always("NAT", nat, f"{gateways} x gateway, {used.nat_gb:g} GB a month"),
        Part(
            name="load balancer",
            low=balancer,
            high=balancer + here.of("balancer_unit_hour"),
            always=True,
            note="up to 1 capacity unit",
        ),
        _always(
            "interface endpoints", doors * here.of("endpoint_hour"), f"{len(CALLS)} in {settings.zones} zones"
        ),
        _always("public addresses", addresses * here.of("address_hour"), f"{addresses} IPv4"),
        _always("web firewall", firewall / MONTH, f"{used.million_requests:g} million requests a month"),
        _always("keys", keys * here.of("key_month") / MONTH, f"{keys} in KMS"),
        _always("logs, metrics, alarms", watching / MONTH, f"{used.log_gb:g} GB of logs a month"),
    ]


def stored(here: Prices, settings: Settings, used: Usage) -> list[Part]:
    """Return what is stored, by GB: the buckets, their backups, the copy in the second region."""
    gb = used.stored_gb
    said = f"{gb:g} GB at {here.of('storage_gb_month'):g} USD a GB and month"
    copied = gb * (here.of("copy_gb_month") + here.of("transfer_gb")) if settings.second_region else 0
    backed_up = gb * here.of("backup_gb_month") if settings.backup else 0
    return [
        _always("buckets", gb * here.of("storage_gb_month") / MONTH, said),
        _always("backups", backed_up / MONTH, f"up to {gb:g} GB"),
        _always("second region", copied / MONTH, f"up to {gb:g} GB"),
    ]


def notes(here: Prices, settings: Settings) -> list[str]:
    """Return what the reader must know of the prices."""
    said = []
    if here.region != here.asked:
        said.append(f"no prices of `{here.asked}` in the table: those of {here.region} stand in")
    types = dict.fromkeys((*settings.train_instance_types, *settings.serve_instance_types))
    found = {one: here.instance(one) for one in types}
    if unknown := [one for one, price in found.items() if price is None]:
        said.append(f"no price of {', '.join(unknown)} in {here.region}: left out")
    if remembered := [one for one, price in found.items() if price and price.remembered]:
        said.append(f"from memory, to be checked: {', '.join(remembered)}")
    said.append("many prices of other things than nodes are from memory, to be checked (infra/prices.json)")
    if settings.capacity_block:
        said.append(
            "a capacity block is paid when it is bought: its nodes are counted at the on-demand price"
        )
    return said


def _cost(group: Group, count: int, price: Instance, *, low: bool) -> float:
    on_demand, spot = group.split(count)
    return on_demand * price.on_demand + spot * (price.spot_low if low else price.spot_high)


def _always(name: str, hour: float, note: str) -> Part:
    return Part(name=name, low=hour, high=hour, always=True, note=note)
