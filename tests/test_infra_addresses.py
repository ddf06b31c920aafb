"""How a network's addresses are divided."""

from __future__ import annotations

from infra.addresses import subnets


def test_a_third_zone_moves_no_subnet() -> None:
    """Subnets of two zones are the first two of three."""
    public, private = subnets("10.0.0.0/16", 3)
    assert subnets("10.0.0.0/16", 2) == (public[:2], private[:2])
    assert private[2] == "10.0.128.0/18"
    assert public[2] == "10.0.224.0/20"


def test_the_narrowest_network_still_holds_a_balancer() -> None:
    """A balancer wants 8 free addresses of a /27 or wider in each of its subnets."""
    assert subnets("10.0.0.0/22", 2) == (
        ["10.0.3.0/26", "10.0.3.64/26"],
        ["10.0.0.0/24", "10.0.1.0/24"],
    )
