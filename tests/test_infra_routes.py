"""Where each subnet's packets go."""

from __future__ import annotations

from tests.mocks import of_type
from tests.test_infra_network import network

ROUTE = "aws:ec2/route:Route"
GATEWAY = "aws:ec2/natGateway:NatGateway"
SERVED = "aws:ec2/routeTableAssociation:RouteTableAssociation"


def test_each_zone_leaves_by_its_own_gateway_where_there_is_one() -> None:
    """With one a zone, no zone depends on another one's."""
    routes = {
        one.name: one.inputs.get("natGatewayId", one.inputs.get("gatewayId"))
        for one in of_type(network(nat="per-zone"), ROUTE)
    }
    assert routes == {
        "network-public-out": "network-internet-id",
        "network-private-0-out": "network-nat-0-id",
        "network-private-1-out": "network-nat-1-id",
    }


def test_with_one_gateway_every_zone_leaves_by_it() -> None:
    """Cheaper, and a zone's end may cut off the others."""
    routes = {one.name: one.inputs.get("natGatewayId") for one in of_type(network(nat="one"), ROUTE)}
    assert routes == {
        "network-public-out": None,
        "network-private-0-out": "network-nat-0-id",
        "network-private-1-out": "network-nat-0-id",
    }


def test_gateways_stand_in_public_subnets_and_wait_for_their_way_out() -> None:
    """A NAT gateway whose subnet has no route to the internet yet fails."""
    gateways = of_type(network(nat="per-zone"), GATEWAY)
    assert {one.name: (one.inputs["subnetId"], one.inputs["allocationId"]) for one in gateways} == {
        f"network-nat-{zone}": (f"network-public-{zone}-id", f"network-nat-{zone}-address-id")
        for zone in (0, 1)
    }
    assert all(
        any(urn.endswith("::network-public-out") for urn in one.options["dependencies"]) for one in gateways
    )


def test_every_subnet_has_a_table_of_its_own_kind() -> None:
    """Public ones share a table, private ones have one each, whatever leads out."""
    served = {one.inputs["subnetId"]: one.inputs["routeTableId"] for one in of_type(network(), SERVED)}
    assert served == {
        "network-public-0-id": "network-public-routes-id",
        "network-public-1-id": "network-public-routes-id",
        "network-private-0-id": "network-private-0-routes-id",
        "network-private-1-id": "network-private-1-routes-id",
    }
    private = {one.inputs["subnetId"] for one in of_type(network(nat="none"), SERVED)}
    assert private == {"network-private-0-id", "network-private-1-id"}
