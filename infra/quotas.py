"""How many vCPUs a stack may start, held against the account's quotas. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from infra.instance_types import QUOTA_CODES, STANDARD_QUOTA_CODES, instance_type
from infra.settings import Settings

QUOTAS = {code: "ec2" for pair in (*QUOTA_CODES.values(), STANDARD_QUOTA_CODES) for code in pair}
"""Every quota that a stack may need, and the service that it is of."""
NAMES = {
    "L-DB2E81BA": "Running On-Demand G and VT instances",
    "L-3819A6DF": "All G and VT Spot Instance Requests",
    "L-417A185B": "Running On-Demand P instances",
    "L-7212CCBC": "All P Spot Instance Requests",
    "L-1216C47A": "Running On-Demand Standard instances",
    "L-34B43A08": "All Standard Spot Instance Requests",
}
"""What Service Quotas calls them."""


def too_small(settings: Settings, quotas: Mapping[str, float]) -> list[str]:
    """Return a line for each quota that the stack's largest size would pass.

    Args:
        settings: of the stack.
        quotas: values by code; one that is missing was not read, and is not held against anything.
    """
    return [
        f"{settings_named} must fit the account's quota `{NAMES[code]}` ({code}) of {quotas[code]:g} vCPUs, "
        f"got {needed} at full size; ask for more: aws service-quotas request-service-quota-increase "
        f"--service-code ec2 --quota-code {code} --desired-value {needed} --region {settings.region}"
        for code, (needed, settings_named) in _needed(settings).items()
        if code in quotas and needed > quotas[code]
    ]


def _needed(settings: Settings) -> dict[str, tuple[int, str]]:
    """Return vCPUs at full size and the settings that ask for them, by quota."""
    found: dict[str, tuple[int, str]] = {}
    for code, vcpus, name in _asked(settings):
        before, names = found.get(code, (0, ""))
        found[code] = (before + vcpus, f"{names} and {name}" if names else name)
    return found


def _asked(settings: Settings) -> Iterator[tuple[str, int, str]]:
    groups = (
        (
            "trainNodes",
            settings.train_instance_types,
            settings.train_nodes,
            settings.train_on_demand_base,
            settings.train_on_demand_percentage,
        ),
        (
            "serveMaxNodes",
            settings.serve_instance_types,
            settings.serve_max_nodes,
            settings.serve_on_demand_base,
            settings.serve_on_demand_percentage,
        ),
    )
    for name, types, nodes, base, percentage in groups:
        above = max(0, nodes - base)
        on_demand = min(nodes, base) + -(-above * percentage // 100)
        for count, spot in ((on_demand, False), (nodes - on_demand, True)):
            for code, vcpus in _by_code(types, spot=spot).items():
                if count:
                    yield code, count * vcpus, name


def _by_code(types: Sequence[str], *, spot: bool) -> dict[str, int]:
    """Return the vCPUs of a node by quota: the fewest, for a group that finds no room takes its smaller types."""
    found: dict[str, int] = {}
    for one in map(instance_type, types):
        code = one.quota_code(spot=spot)
        found[code] = min(found.get(code, one.vcpus), one.vcpus)
    return found if len(found) == 1 else {}  # of several kinds, any one may hold the whole group
