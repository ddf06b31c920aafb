"""Which instance type: those with enough GPU memory and bandwidth, by what they can do and what they cost. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infra.instance_types import InstanceType, instance_types
from infra.prices import Instance, Prices

GIB = 1.073741824
"""GB (10^9 bytes) of a GiB."""
UNENCRYPTED = ("g5g",)
"""Families whose traffic between nodes the hardware does not encrypt; it does for all others in the table."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a GPU must have."""

    memory_gb: float = 0
    """GB of memory of one GPU, at least, as GPUs are sold: one of `24 GB` shows 22.4 GiB."""
    bandwidth_gbs: float = 0
    """GB/s of memory bandwidth of one GPU, at least."""
    efa: bool = False
    """Whether it must take the Elastic Fabric Adapter, for trainings over several nodes."""

    def granted(self, one: InstanceType) -> bool:
        """Tell whether a type has all of it."""
        return (
            one.gpus > 0
            and round(one.gpu_memory_gb * GIB) >= self.memory_gb
            and one.gpu_bandwidth_gbs >= self.bandwidth_gbs
            and (one.efa_cards > 0 or not self.efa)
        )


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One type, with its price in a region."""

    type: InstanceType
    """What it can do."""
    price: Instance | None
    """What it costs; None: not sold here, or only in capacity blocks."""

    @property
    def encrypted(self) -> bool:
        """Whether the hardware encrypts what nodes of this family say to each other."""
        return self.type.family not in UNENCRYPTED

    @property
    def usd_per_gpu_gb(self) -> float | None:
        """US dollars an hour, on demand, for a GiB of GPU memory."""
        if self.price is None:
            return None
        return self.price.on_demand / (self.type.gpus * self.type.gpu_memory_gb)

    def as_json(self) -> dict[str, Any]:
        """Return it as one flat object."""
        one, price = self.type, self.price
        return {
            "type": one.name,
            "gpus": one.gpus,
            "gpu": one.gpu_name,
            "gpu_memory_gb": one.gpu_memory_gb,
            "gpu_bandwidth_gbs": one.gpu_bandwidth_gbs,
            "vcpus": one.vcpus,
            "memory_gb": one.memory_gb,
            "instance_store_gb": one.instance_store_gb,
            "ebs_mbps": one.ebs_mbps,
            "network_gbps": one.network_gbps,
            "efa_cards": one.efa_cards,
            "encrypted_between_nodes": self.encrypted,
            "usd_per_hour": price and round(price.on_demand, 4),
            "spot_usd_per_hour": price and [round(price.spot_low, 4), round(price.spot_high, 4)],
            "usd_per_gpu_gb_hour": None if self.usd_per_gpu_gb is None else round(self.usd_per_gpu_gb, 5),
            "from_memory": price is not None and price.remembered,
        }


def offers(wish: Wish, here: Prices) -> Sequence[Offer]:
    """Return the types that grant a wish, the cheapest first; those without a price here last."""
    found = [Offer(type=one, price=here.instance(one.name)) for one in instance_types() if wish.granted(one)]
    return sorted(found, key=lambda one: (one.price is None, one.price.on_demand if one.price else 0))
