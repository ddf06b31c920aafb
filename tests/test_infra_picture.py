"""The pictures of docs/aws.md are those of the program as it is."""

from __future__ import annotations

import re
from dataclasses import replace

from infra.picture import Drawn, network_picture, subnet_table
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
    whole = f"```mermaid\n{network_picture(resources())}\n```\n"
    assert whole == (EXPECTED / "network_dev.md").read_text()


def test_the_small_stacks_subnets_stand_in_a_table() -> None:
    """Two zones, one row each."""
    assert f"{subnet_table(resources())}\n" == (EXPECTED / "subnets_dev.md").read_text()


def test_the_way_out_of_private_subnets_is_drawn_through_nat() -> None:
    """Nodes reach the internet by NAT; a load balancer in public subnets reaches it by itself."""
    small, big = (network_picture(resources(stack)).splitlines() for stack in ("dev", "prod"))
    assert '  serve -- "tcp 443" --> nat' in small
    assert '  nat --> internet["internet: 0.0.0.0/0"]' in small
    assert '  load_balancer -- "tcp 443" --> internet["internet: 0.0.0.0/0"]' in big
    without = [one for one in resources() if not one.name.endswith("-to-internet-out")]
    assert all("internet" not in line for line in network_picture(without).splitlines())


def test_s3_is_drawn_only_where_a_gateway_leads_to_it() -> None:
    """A stack without the endpoint shows no door."""
    without = [one for one in resources() if one.inputs.get("vpcEndpointType") != "Gateway"]
    assert '    s3["S3, by its gateway endpoint"]' in network_picture(resources()).splitlines()
    assert '    s3["S3, by its gateway endpoint"]' not in network_picture(without).splitlines()


def test_an_arrow_between_groups_needs_a_rule_at_both_ends() -> None:
    """Who may send is not reached unless the other end lets in."""
    deaf = [one for one in resources() if one.name != "network-balancer-to-serve-in"]
    assert '  load_balancer -- "tcp 8443" --> serve' in network_picture(resources()).splitlines()
    assert '  load_balancer -- "tcp 8443" --> serve' not in network_picture(deaf).splitlines()


def test_another_rule_is_another_picture() -> None:
    """A rule that the program gains is seen, so that the page is refused."""
    (clients,) = (one for one in resources() if one.name == "network-clients-0-in")
    more = replace(clients, name="network-clients-1-in", inputs={**clients.inputs, "cidrIpv4": "0.0.0.0/0"})
    assert '  clients["clients: 0.0.0.0/0"] -- "tcp 443" --> load_balancer' in network_picture(
        [*resources(), more]
    )
