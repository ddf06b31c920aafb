"""The comparison of instance types: who grants a wish, in which order, and what is said of each."""

from __future__ import annotations

import gzip
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.compare import Offer, Wish, offers
from infra.instance_types import instance_type, instance_types
from infra.prices import prices


def names(wish: Wish, region: str = "us-east-1") -> list[str]:
    return [one.type.name for one in offers(wish, prices(region))]


def test_a_wish_is_of_one_gpu_and_the_cheapest_comes_first() -> None:
    assert names(Wish(memory_gb=40, bandwidth_gbs=1000)) == [
        "p5.4xlarge",
        "p4d.24xlarge",
        "p4de.24xlarge",
        "p5.48xlarge",
        "p5en.48xlarge",
        "p6-b200.48xlarge",
        "p5e.48xlarge",
        "p6-b300.48xlarge",
    ]


def test_memory_is_wished_for_as_gpus_are_sold() -> None:
    assert "g6.xlarge" in names(Wish(memory_gb=24))  # shows 22.4 GiB
    assert "g6.xlarge" not in names(Wish(memory_gb=25))
    assert "g6e.xlarge" in names(Wish(memory_gb=48))  # shows 44.7 GiB


def test_what_has_no_price_here_comes_last() -> None:
    found = offers(Wish(memory_gb=80), prices("eu-central-1"))
    assert [one.price is None for one in found] == [False] + [True] * 6
    assert found[0].type.name == "p4de.24xlarge"


def test_no_wish_means_every_type_with_a_gpu_and_none_without() -> None:
    assert len(names(Wish())) == sum(one.gpus > 0 for one in instance_types())
    assert "m7i.large" not in names(Wish())


def test_efa_can_be_asked_for() -> None:
    with_efa = names(Wish(memory_gb=20, efa=True))
    assert "g6.xlarge" not in with_efa
    assert "g6.8xlarge" in with_efa


def test_an_offer_as_json() -> None:
    (found,) = (one for one in offers(Wish(), prices("us-east-1")) if one.type.name == "g6e.xlarge")
    assert found.as_json() == {
        "type": "g6e.xlarge",
        "gpus": 1,
        "gpu": "L40S",
        "gpu_memory_gb": found.type.gpu_memory_gb,
        "gpu_bandwidth_gbs": 864,
        "vcpus": 4,
        "memory_gb": 32,
        "instance_store_gb": found.type.instance_store_gb,
        "ebs_mbps": found.type.ebs_mbps,
        "network_gbps": found.type.network_gbps,
        "efa_cards": 0,
        "encrypted_between_nodes": True,
        "usd_per_hour": 1.861,
        "spot_usd_per_hour": [0.5025, 1.2841],
        "usd_per_gpu_gb_hour": round(1.861 / found.type.gpu_memory_gb, 5),
        "from_memory": False,
    }


def test_an_offer_without_a_price_says_so() -> None:
    made = Offer(type=instance_type("p5e.48xlarge"), price=None).as_json()
    kept = ("usd_per_hour", "spot_usd_per_hour", "usd_per_gpu_gb_hour", "from_memory")
    assert {key: made[key] for key in kept} == {
        "usd_per_hour": None,
        "spot_usd_per_hour": None,
        "usd_per_gpu_gb_hour": None,
        "from_memory": False,
    }


def test_what_is_said_of_encryption_is_what_ec2_says() -> None:
    spec = find_spec("moto")
    if spec is None or spec.origin is None:
        pytest.skip("moto, whose snapshot of DescribeInstanceTypes says it, is not installed")
    snapshot = Path(spec.origin).parent / "ec2/resources/instance_types.json.gz"
    described = json.loads(gzip.decompress(snapshot.read_bytes()))
    said = {one.name: Offer(type=one, price=None).encrypted for one in instance_types()}
    assert said == {name: described[name]["NetworkInfo"]["EncryptionInTransitSupported"] for name in said}
