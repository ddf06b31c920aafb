"""Auto Scaling groups: from which template, in which zones, of which types."""

from __future__ import annotations

from collections.abc import Iterator

from .network import subnets_of, zones
from .resource import Resource, Stack, get
from .row import alone, among

GROUP = "aws:autoscaling/group:Group"
MIXED = "mixedInstancesPolicy"
SPECIFICATION = f"{MIXED}.launchTemplate.launchTemplateSpecification"


@alone(22, "by-version", "A group starts a template's version by number (AutoScaling.9, CKV_AWS_315)", GROUP)
def by_version(group: Resource) -> Iterator[str]:
    where = SPECIFICATION if group.has(SPECIFICATION) else "launchTemplate"
    if not group.has(where):
        yield "has no launch template; launch configurations are at their end"
    elif not str(group.get(f"{where}.version") or "").isdigit():
        yield "takes whatever version comes, so an instance refresh cannot roll back; name it by number"


@among(24, "two-zones", "A group that serves spans 2 zones (AutoScaling.2)", GROUP)
def two_zones(group: Resource, stack: Stack) -> Iterator[str]:
    if group.has("targetGroupArns") and len(zones(subnets_of(group, stack))) < 2:
        yield "serves from one zone; give it subnets in two"


@alone(25, "two-types", "A group may be made of 2 instance types (AutoScaling.6)", GROUP)
def two_types(group: Resource) -> Iterator[str]:
    types = {get(one, "instanceType") for one in group.items(f"{MIXED}.launchTemplate.overrides")}
    if len(types) < 2:
        yield "waits for one instance type; name a second one that would do"


@alone(26, "rebalance", "A group with spot nodes replaces them before they are taken", GROUP)
def rebalance(group: Resource) -> Iterator[str]:
    share = group.get(f"{MIXED}.instancesDistribution.onDemandPercentageAboveBaseCapacity")
    if share != 100 and not group.get("capacityRebalance"):
        yield "loses spot nodes before others are there; set capacity_rebalance"


@alone(27, "tagged-nodes", "A group's tags reach its nodes (CKV_AWS_153)", GROUP)
def tagged_nodes(group: Resource) -> Iterator[str]:
    tags = group.items("tags")
    if not tags:
        yield "has no tags, so nobody can tell whose nodes these are"
    for tag in tags:
        if not tag.get("propagateAtLaunch"):
            yield f"keeps tag {tag.get('key')} to itself; set propagate_at_launch"
