"""The estimate of a stack: each line computed by hand, and what it says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.cli.stack_file import stack_settings
from infra.cost import estimate
from infra.cost_parts import Group, Usage
from infra.settings import Settings

DEV, PROD = stack_settings("dev"), stack_settings("prod")


def lines(settings: Settings, usage: Usage | None = None) -> dict[str, tuple[float, float]]:
    return {part.name: (part.low, part.high) for part in estimate(settings, usage).parts}


def test_spot_nodes_cost_from_the_cheapest_to_the_dearest_type() -> None:
    low, high = lines(DEV)["training nodes"]
    assert low == pytest.approx(min(0.8048 * 1.2505 * 0.32, 1.006 * 1.2505 * 0.25))
    assert high == pytest.approx(max(0.8048 * 1.2505 * 0.40, 1.006 * 1.2505 * 0.60))


def test_on_demand_nodes_have_one_price() -> None:
    assert lines(PROD)["training nodes"] == (4 * 55.04, 4 * 55.04)


def test_serving_costs_from_its_floor_to_its_ceiling() -> None:
    low, high = lines(PROD)["serving nodes"]
    assert low == pytest.approx(3 * 0.9776)  # the floor is all on demand
    # 12 nodes: 3 of the base and half of the other 9, rounded up, are on demand.
    assert high == pytest.approx(8 * 2.24208 + 4 * 2.24208 * 0.69)


@pytest.mark.parametrize(
    ("base", "percentage", "count", "split"),
    [(0, 0, 4, (0, 4)), (0, 100, 4, (4, 0)), (1, 50, 4, (3, 1)), (9, 0, 4, (4, 0)), (0, 1, 4, (1, 3))],
)
def test_on_demand_and_spot_are_split_as_auto_scaling_does(
    base: int, percentage: int, count: int, split: tuple[int, int]
) -> None:
    group = Group(types=["g6.xlarge"], fewest=1, most=count, base=base, percentage=percentage)
    assert group.split(count) == split


def test_volumes_cost_what_is_above_the_free_part() -> None:
    month = 200 * 0.0952 + (250 - 125) * 0.048
    assert lines(DEV)["training volumes"] == pytest.approx((month / 730, month / 730))
    faster = replace(DEV, volume_iops=4000, volume_throughput=125)
    month = 200 * 0.0952 + 1000 * 0.006
    assert lines(faster)["training volumes"] == pytest.approx((month / 730, month / 730))
    low, high = lines(PROD)["serving volumes"]
    assert low == pytest.approx(high * 3 / 12)


def test_what_costs_day_and_night() -> None:
    found = lines(PROD, Usage(stored_gb=1000, nat_gb=730, log_gb=10, million_requests=5))
    assert found["NAT"][0] == pytest.approx(3 * 0.045 + 0.045)
    assert found["load balancer"] == pytest.approx((0.0225, 0.0305))
    assert found["interface endpoints"][0] == pytest.approx(9 * 3 * 0.01)
    assert found["public addresses"][0] == pytest.approx(6 * 0.005)
    assert found["web firewall"][0] == pytest.approx((5 + 3 * 1 + 5 * 0.6) / 730)
    assert found["keys"][0] == pytest.approx(3 / 730)
    assert found["logs, metrics, alarms"][0] == pytest.approx((10 * 0.5 + 13 * 0.1 + 13 * 0.3 + 3) / 730)
    assert found["buckets"][0] == pytest.approx(1000 * 0.023 / 730)
    assert found["backups"][0] == pytest.approx(1000 * 0.05 / 730)
    assert found["second region"][0] == pytest.approx(1000 * (0.0125 + 0.02) / 730)


def test_what_a_stack_does_not_have_is_no_line() -> None:
    found = lines(replace(DEV, nat="none", dashboard=False))
    assert not {"NAT", "public addresses", "web firewall", "backups", "second region"} & set(found)
    assert len(found) == 9


def test_a_month_is_the_nodes_hours_and_730_of_all_else() -> None:
    made = estimate(DEV)
    nodes = sum(part.low for part in made.parts if not part.always) * 40
    always = sum(part.low for part in made.parts if part.always) * 730
    assert made.month[0] == pytest.approx(nodes + always)
    assert made.hour[0] == pytest.approx(sum(part.low for part in made.parts))


def test_the_output_says_that_it_is_an_estimate_and_of_which_day() -> None:
    made = estimate(DEV)
    output = made.as_output()
    parts = output.pop("parts")
    assert output == {
        "isAnEstimate": "from prices of 2026-11-24, without taxes, discounts and data sent out",
        "region": "eu-central-1",
        "priceDate": "2026-11-24",
        "nodeHoursPerMonth": 40,
        "usdPerHour": [round(made.hour[0], 2), round(made.hour[1], 2)],
        "usdPerMonth": [round(made.month[0], 2), round(made.month[1], 2)],
        "notes": [
            "many prices of other things than nodes are from memory, to be checked (infra/prices.json)"
        ],
    }
    assert list(parts) == [part.name for part in made.parts]
    assert parts["load balancer"] == {"usdPerHour": [0.027, 0.035], "usdPerMonth": [19.71, 25.55]}


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"region": "sa-east-1"}, "no prices of `sa-east-1` in the table: those of us-east-1 stand in"),
        (
            {"train_instance_types": ("p5e.48xlarge", "p5.48xlarge")},
            "no price of p5e.48xlarge, p5.48xlarge in eu-central-1: left out",
        ),
        ({"train_instance_types": ("gr6.4xlarge",)}, "from memory, to be checked: gr6.4xlarge"),
        (
            {"capacity_block": True},
            "a capacity block is paid when it is bought: its nodes are counted at the on-demand price",
        ),
    ],
)
def test_what_the_reader_must_know(changed: dict[str, object], note: str) -> None:
    assert note in estimate(replace(DEV, **changed)).notes  # type: ignore[arg-type]


def test_nodes_without_a_price_are_no_line() -> None:
    assert "training nodes" not in lines(replace(DEV, train_instance_types=("p5e.48xlarge",)))


def test_a_capacity_block_is_counted_on_demand() -> None:
    block = replace(PROD, capacity_block=True, train_on_demand_base=0, train_on_demand_percentage=0)
    assert lines(block)["training nodes"] == (4 * 55.04, 4 * 55.04)
