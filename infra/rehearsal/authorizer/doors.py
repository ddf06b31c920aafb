"""The VPC endpoint that a node's call passes, which has a policy of its own."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import ec2_backends

from infra.rehearsal.authorizer.principals import Principal
from infra.rehearsal.authorizer.requests import Call
from infra.rehearsal.emulator import ACCOUNT

_networks: dict[str, str] = {}
"""Instance -> its VPC, which never changes."""


def endpoint(call: Call, caller: Principal) -> Any:  # noqa: ANN401 - moto's
    """Return the endpoint between a caller's machine and a service; None: it goes by the internet, or is no node."""
    network = _network(call.region, caller.session)
    name = f"com.amazonaws.{call.region}.{call.service}"
    doors = list(ec2_backends[ACCOUNT][call.region].vpc_end_points.values()) if network else []
    return next((one for one in doors if one.vpc_id == network and one.service_name == name), None)


def _network(region: str, instance: str) -> str:
    if instance.startswith("i-") and instance not in _networks:
        for reservation in list(ec2_backends[ACCOUNT][region].reservations.values()):
            for one in reservation.instances:
                _networks[one.id] = one.vpc_id or ""
    return _networks.get(instance, "")
