"""Which addresses a network has, and which of its subnets which of them. Pure."""

from __future__ import annotations

import ipaddress

WIDEST, NARROWEST = 16, 22
"""Prefix lengths of a network: AWS takes no wider one; in a narrower one a balancer's subnet has too few addresses."""


def subnets(cidr: str, zones: int) -> tuple[list[str], list[str]]:
    """Return the addresses of public and of private subnets, one a zone.

    A quarter each for the nodes of three zones; the last quarter holds the balancer's subnets, which need few. A
    third zone added later leaves the others as they are.
    """
    *private, rest = ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=2)
    public = list(rest.subnets(prefixlen_diff=2))
    return [str(one) for one in public[:zones]], [str(one) for one in private[:zones]]


def check_addresses(name: str, cidr: str, shortest: int = 0, longest: int = 32) -> None:
    """Refuse what is no block of IPv4 addresses of a length in range.

    Raises:
        ValueError: names the field.
    """
    try:
        prefix = ipaddress.IPv4Network(cidr).prefixlen
    except ValueError:
        raise ValueError(
            f"{name} must be IPv4 addresses as 10.0.0.0/16, with no bit set behind the prefix, got `{cidr}`; change it"
        ) from None
    if not shortest <= prefix <= longest:
        raise ValueError(
            f"{name} must have a prefix length of {shortest} to {longest}, got `{cidr}`; change the number behind the /"
        )
