"""What the instance types can do, from a dated table beside this file. Pure."""

from __future__ import annotations

import difflib
import functools
import json
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("instance_types.json")
"""The table, with its date and its sources."""
QUOTA_CODES = {"g": ("L-DB2E81BA", "L-3819A6DF"), "p": ("L-417A185B", "L-7212CCBC")}
"""Codes of the EC2 quotas on vCPUs, on-demand and spot, by the first letter of the types."""
STANDARD_QUOTA_CODES = ("L-1216C47A", "L-34B43A08")
"""Those of all types without a GPU."""


class UnknownInstanceTypeError(ValueError):
    """The table has no such instance type."""


@dataclass(frozen=True, kw_only=True)
class InstanceType:
    """One EC2 instance type. Facts that have no price in them."""

    name: str
    """As EC2 calls it, `g6.xlarge`."""
    vcpus: int
    """Virtual CPUs; quotas are counted in them."""
    memory_gb: float
    """Memory in GiB."""
    gpus: int
    """GPUs, 0 for none."""
    gpu_name: str
    """The GPU's name, empty for none."""
    gpu_memory_gb: float
    """Memory of one GPU in GiB, as the driver shows it."""
    gpu_bandwidth_gbs: int
    """Memory bandwidth of one GPU in GB/s."""
    network_gbps: float
    """Network bandwidth in Gbit/s that lasts, over all cards."""
    efa_cards: int
    """Network cards that take an EFA interface, 0 for none."""
    efa_on_card_zero: bool
    """Whether the first card is one of them."""
    instance_store_gb: int
    """NVMe instance store in GB over all disks, 0 for none."""
    ebs_mbps: float
    """Baseline throughput to its volumes in MB/s."""
    arch: str
    """x86_64 or arm64."""
    spot_ok: bool
    """Whether there is a spot market for it."""
    capacity_block_ok: bool
    """Whether capacity blocks are sold for it."""

    @property
    def family(self) -> str:
        """What stands before the dot."""
        return self.name.split(".")[0]

    @property
    def network_cards(self) -> int:
        """Network cards that a node with EFA uses: those with EFA, and the first one."""
        return self.efa_cards + (0 if self.efa_on_card_zero else 1)

    def quota_code(self, *, spot: bool) -> str:
        """Return the code of the quota that its vCPUs count against: running on-demand ones, or requested spot ones."""
        on_demand, of_spot = QUOTA_CODES.get(self.name[0], STANDARD_QUOTA_CODES)
        return of_spot if spot else on_demand


def instance_type(name: str) -> InstanceType:
    """Return what is known of a type.

    Raises:
        UnknownInstanceTypeError: the table does not have it; the message names the nearest ones.
    """
    known = _table()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)[:3]
        raise UnknownInstanceTypeError(
            f"instance type must be one of the {len(known)} in infra/instance_types.json, got `{name}`; "
            f"near: {', '.join(near)}"
        )
    return known[name]


def instance_types() -> list[InstanceType]:
    """Return the whole table, in its order."""
    return list(_table().values())


def table_date() -> str:
    """Return the day that the table was made, as 2026-11-24."""
    return str(json.loads(TABLE.read_text())["date"])


@functools.cache
def _table() -> dict[str, InstanceType]:
    return {row["name"]: InstanceType(**row) for row in json.loads(TABLE.read_text())["types"]}
