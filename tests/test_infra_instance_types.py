"""The table of instance types, against the provider's own answer."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import moto.ec2
import pytest

from infra.instance_types import (
    TABLE,
    UnknownInstanceTypeError,
    instance_type,
    instance_types,
    table_date,
)

GPU_FAMILIES = {"g4dn", "g5", "g6", "g6e", "gr6", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200"}


def described() -> dict[str, Any]:
    """Return EC2's DescribeInstanceTypes, as moto keeps it."""
    kept = Path(moto.ec2.__file__).parent / "resources" / "instance_types.json.gz"
    with gzip.open(kept) as file:
        return dict(json.load(file))


def test_every_row_says_what_ec2_says() -> None:
    known = described()
    assert len(instance_types()) == 57
    for one in instance_types():
        told = known[one.name]
        cards = told["NetworkInfo"]["NetworkCards"]
        gpus = told.get("GpuInfo", {}).get("Gpus", [{"Count": 0, "Name": "", "MemoryInfo": {"SizeInMiB": 0}}])
        with_efa = [card["NetworkCardIndex"] for card in cards if "efa-only" in card["InterfaceTypes"]]
        assert one.vcpus == told["VCpuInfo"]["DefaultVCpus"], one.name
        assert one.memory_gb == told["MemoryInfo"]["SizeInMiB"] / 1024, one.name
        assert (one.gpus, one.gpu_name) == (gpus[0]["Count"], gpus[0]["Name"]), one.name
        assert one.gpu_memory_gb == round(gpus[0]["MemoryInfo"]["SizeInMiB"] / 1024, 1), one.name
        assert (one.efa_cards, one.efa_on_card_zero) == (len(with_efa), 0 in with_efa), one.name
        assert with_efa == list(range(0 if one.efa_on_card_zero else 1, one.network_cards)), one.name
        assert one.efa_cards == told["NetworkInfo"].get("EfaInfo", {}).get("MaximumEfaInterfaces", 0), (
            one.name
        )
        assert one.instance_store_gb == told.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0), one.name
        assert [one.arch] == told["ProcessorInfo"]["SupportedArchitectures"], one.name
        assert one.spot_ok == ("spot" in told["SupportedUsageClasses"]), one.name
        assert one.capacity_block_ok == ("capacity-block" in told["SupportedUsageClasses"]), one.name
        assert (one.gpu_bandwidth_gbs > 0) == (one.gpus > 0), one.name


def test_the_table_has_the_families_that_models_run_on() -> None:
    with_gpu = [one for one in instance_types() if one.gpus]
    assert len(with_gpu) == 45
    assert {one.family for one in with_gpu} >= GPU_FAMILIES
    assert {one.family for one in instance_types() if not one.gpus} == {"c7g", "c7i", "m7g", "m7i"}


def test_the_table_is_dated_and_names_its_sources() -> None:
    assert table_date() == "2026-11-24"
    sources = json.loads(TABLE.read_text())["sources"]
    assert list(sources) == ["all but gpu_bandwidth_gbs", "gpu_bandwidth_gbs"]
    assert "DescribeInstanceTypes" in sources["all but gpu_bandwidth_gbs"]


def test_an_unknown_type_is_refused_with_its_neighbours() -> None:
    with pytest.raises(UnknownInstanceTypeError) as refused:
        instance_type("g6.xlrge")
    assert str(refused.value) == (
        "instance type must be one of the 57 in infra/instance_types.json, got `g6.xlrge`; "
        "near: g6.xlarge, g6e.xlarge, g6.8xlarge"
    )


@pytest.mark.parametrize(
    ("name", "on_demand", "spot"),
    [
        ("g6.xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("gr6.4xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("p5.4xlarge", "L-417A185B", "L-7212CCBC"),
        ("c7i.large", "L-1216C47A", "L-34B43A08"),
    ],
)
def test_a_type_counts_against_its_quotas(name: str, on_demand: str, spot: str) -> None:
    assert instance_type(name).quota_code(spot=False) == on_demand
    assert instance_type(name).quota_code(spot=True) == spot
