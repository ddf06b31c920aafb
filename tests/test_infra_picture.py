"""The pictures of docs/aws.md are those of the program as it is."""

from __future__ import annotations

import re
from dataclasses import replace

from infra.picture import Drawn, network_picture, role_pictures
from tests.aws_pictures import DOCS, EXPECTED, blocks, drawn, with_pictures
from tests.stacks import recorded


def resources(stack: str = "dev") -> list[Drawn]:
    """Return a stack as pictures take it."""
    return [drawn(one) for one in recorded(stack).resources]


def test_the_page_shows_what_the_program_asks_for() -> None:
    """`uv run python -m tests.aws_pictures` draws the page anew."""
    assert DOCS.read_text() == with_pictures(DOCS.read_text(), blocks())


def test_the_page_has_a_place_for_every_picture() -> None:
    """A role that the program gains must be shown."""
    assert set(re.findall(r"<!-- ([\w -]+): begin -->", DOCS.read_text())) == set(blocks())


def test_the_small_stacks_network_is_drawn_whole() -> None:
    """The picture as a literal: an internal load balancer, one NAT gateway, no EFA."""
    assert f"{network_picture(resources())}\n" == (EXPECTED / "network_dev.mmd").read_text()


def test_an_arrow_between_groups_needs_a_rule_at_both_ends() -> None:
    """Who may send is not reached unless the other end lets in."""
    deaf = [one for one in resources() if one.name != "network-balancer-to-serve-in"]
    assert '  load_balancer -- "tcp 8443" --> serve' in network_picture(resources()).splitlines()
    assert '  load_balancer -- "tcp 8443" --> serve' not in network_picture(deaf).splitlines()


def test_another_rule_is_another_picture() -> None:
    """A rule that the program gains is seen, so that the page is refused."""
    (clients,) = (one for one in resources() if one.name == "network-clients-0-in")
    more = replace(clients, name="network-clients-1-in", inputs={**clients.inputs, "cidrIpv4": "0.0.0.0/0"})
    assert '  clients["0.0.0.0/0"] -- "tcp 443" --> load_balancer' in network_picture([*resources(), more])


def test_a_roles_picture_names_targets_as_the_program_does_and_says_conditions() -> None:
    """The serving role of the small stack, as a literal."""
    picture = role_pictures(resources())["access-serve"]
    assert f"{picture}\n" == (EXPECTED / "role_serve_dev.mmd").read_text()
