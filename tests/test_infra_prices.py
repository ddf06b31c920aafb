"""The price table: what it has, what it does not have, and that every figure names a source."""

from __future__ import annotations

import json
import re

import pytest

from infra.instance_types import instance_types
from infra.prices import TABLE, price_date, prices, regions

TABLE_JSON = json.loads(TABLE.read_text())


def test_a_price_is_the_reference_times_the_familys_share_in_the_region() -> None:
    frankfurt = prices("eu-central-1").instance("g6.xlarge")
    assert frankfurt is not None
    assert frankfurt.on_demand == pytest.approx(0.8048 * 1.2505)
    assert frankfurt.spot_low == pytest.approx(0.8048 * 1.2505 * 0.32)
    assert frankfurt.spot_high == pytest.approx(0.8048 * 1.2505 * 0.40)
    assert not frankfurt.remembered


@pytest.mark.parametrize(
    ("region", "name", "catalogue"),
    [
        ("eu-central-1", "g6.4xlarge", 1.65466),
        ("eu-central-1", "g6.12xlarge", 5.75429),
        ("eu-central-1", "g5.8xlarge", 3.06122),
        ("eu-central-1", "g6e.48xlarge", 37.67612),
        ("eu-central-1", "g4dn.xlarge", 0.658),
        ("eu-central-1", "p4de.24xlarge", 34.29122),
        ("eu-west-1", "g5.8xlarge", 2.73271),
        ("eu-west-1", "p4d.24xlarge", 23.71569),
        ("us-west-2", "p5.48xlarge", 55.04),
        ("us-west-2", "p6-b300.48xlarge", 142.416),
    ],
)
def test_the_shares_give_back_what_the_catalogue_says_of_each_size(
    region: str, name: str, catalogue: float
) -> None:
    found = prices(region).instance(name)
    assert found is not None
    assert found.on_demand == pytest.approx(catalogue, rel=5e-4)


def test_what_is_not_sold_has_no_price() -> None:
    assert prices("eu-west-1").instance("g6.xlarge") is None
    assert prices("us-east-1").instance("p5e.48xlarge") is None  # capacity blocks alone
    assert prices("us-east-1").instance("t1.micro") is None


def test_a_spot_price_that_nobody_saw_is_a_wide_range() -> None:
    found = prices("eu-central-1").instance("p4d.24xlarge")
    assert found is not None
    assert (found.spot_low / found.on_demand, found.spot_high / found.on_demand) == (0.25, 1.0)


def test_another_region_borrows_the_prices_of_us_east_1() -> None:
    here = prices("sa-east-1")
    assert (here.region, here.asked) == ("us-east-1", "sa-east-1")
    assert here.of("nat_hour") == 0.045


def test_the_table_has_four_regions_and_most_gpu_types() -> None:
    assert regions() == ["us-east-1", "us-west-2", "eu-central-1", "eu-west-1"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", price_date())
    priced = {one.name for one in instance_types() if one.gpus} & set(TABLE_JSON["instances"])
    assert len(priced) == 44
    assert {one.name for one in instance_types()} - set(TABLE_JSON["instances"]) == {"p5e.48xlarge"}


def test_every_figure_names_its_source_and_no_spot_price_is_above_on_demand() -> None:
    known = set(TABLE_JSON["sources"])
    figures = [*TABLE_JSON["instances"].values(), *TABLE_JSON["anywhere"].values()]
    for region in TABLE_JSON["regions"].values():
        figures += region["services"].values()
        figures += [[one["factor"], one["source"]] for one in region["families"].values()]
    assert len(figures) > 150
    assert all(price > 0 and source in known for price, source in figures)
    spots = [one["spot"] for region in TABLE_JSON["regions"].values() for one in region["families"].values()]
    assert all(0 < low <= high <= 1 for low, high in filter(None, spots))


def test_every_region_has_the_same_services() -> None:
    first, *others = (set(region["services"]) for region in TABLE_JSON["regions"].values())
    assert others == [first] * 3
