"""The stack's full size against the account's quotas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infra.constraints import QUOTAS, check
from infra.quotas import NAMES, too_small
from tests.test_infra_constraints import DEFAULT

G_ON_DEMAND, G_SPOT, P_ON_DEMAND, P_SPOT = "L-DB2E81BA", "L-3819A6DF", "L-417A185B", "L-7212CCBC"
PLENTY = dict.fromkeys(QUOTAS, 100_000.0)


def needed(**changes: Any) -> dict[str, int]:
    """Return the least value of each quota that lets a stack through."""
    settings = replace(DEFAULT, **changes)
    found = {}
    for code in QUOTAS:
        below = too_small(settings, {code: 0.0})
        if below:
            found[code] = int(below[0].partition("got ")[2].split()[0])
            assert too_small(settings, {code: float(found[code])}) == []
            assert too_small(settings, {code: found[code] - 1.0}) != []
    return found


def test_quotas_are_named_and_all_of_ec2() -> None:
    assert dict.fromkeys(NAMES, "ec2") == QUOTAS
    assert len(QUOTAS) == 6


def test_a_quota_that_is_too_small_is_named_with_the_way_to_more() -> None:
    settings = replace(
        DEFAULT, train_instance_types=("p5.48xlarge",), train_nodes=4, train_on_demand_percentage=100
    )
    assert check(settings, {**PLENTY, P_ON_DEMAND: 192.0}) == [
        "trainNodes must fit the account's quota `Running On-Demand P instances` (L-417A185B) of 192 vCPUs, "
        "got 768 at full size; ask for more: aws service-quotas request-service-quota-increase "
        "--service-code ec2 --quota-code L-417A185B --desired-value 768 --region eu-central-1"
    ]


def test_what_was_not_read_is_not_held_against_a_stack() -> None:
    assert check(DEFAULT, None) == check(DEFAULT, {}) == check(DEFAULT, PLENTY) == []


@pytest.mark.parametrize(
    ("changes", "quotas"),
    [
        ({}, {G_ON_DEMAND: 4, G_SPOT: 8}),  # one training node and one of two serving nodes are spot
        ({"train_on_demand_percentage": 100, "serve_on_demand_base": 2}, {G_ON_DEMAND: 12}),
        ({"train_nodes": 3, "train_on_demand_percentage": 50}, {G_ON_DEMAND: 12, G_SPOT: 8}),
        ({"train_instance_types": ("g6.8xlarge", "g5.xlarge")}, {G_ON_DEMAND: 4, G_SPOT: 8}),
        ({"train_instance_types": ("p5.48xlarge",)}, {G_ON_DEMAND: 4, G_SPOT: 4, P_SPOT: 192}),
        ({"serve_instance_types": ("c7i.2xlarge",)}, {G_SPOT: 4, "L-1216C47A": 8, "L-34B43A08": 8}),
        (
            {"serve_instance_types": ("g6.xlarge", "p5.4xlarge")},
            {G_SPOT: 4},
        ),  # either quota may hold all of serving
    ],
)
def test_vcpus_are_added_up_by_market_and_family(changes: dict[str, Any], quotas: dict[str, int]) -> None:
    assert needed(**changes) == quotas


def test_both_groups_are_named_where_both_ask() -> None:
    (message,) = too_small(DEFAULT, {G_SPOT: 4.0})
    assert message.startswith(
        "trainNodes and serveMaxNodes must fit the account's quota `All G and VT Spot Instance Requests` (L-3819A6DF)"
    )
