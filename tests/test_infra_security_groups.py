"""Every rule between the groups, exactly; what leads to addresses; and that each says what it is for."""

from __future__ import annotations

from tests.mocks import Registered, of_type, only
from tests.test_infra_network import network

INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"


def test_who_may_speak_to_whom() -> None:
    """Every rule: from whom, to whom, which ports. Only the balancer's port and HTTPS to indexes name addresses."""
    registered = network(allowed_cidrs=["10.0.0.0/16", "203.0.113.0/24"], efa=True, token_keys=True)
    assert {rule(one) for one in of_type(registered, INGRESS)} == {
        ("10.0.0.0/16", "load-balancer", "tcp", 443),
        ("203.0.113.0/24", "load-balancer", "tcp", 443),
        ("load-balancer", "serve", "tcp", 8443),
        ("train", "train", "-1", None),
        ("train", "endpoints", "tcp", 443),
        ("serve", "endpoints", "tcp", 443),
    }
    assert {rule(one) for one in of_type(registered, EGRESS)} == {
        ("serve", "load-balancer", "tcp", 8443),
        ("0.0.0.0/0", "load-balancer", "tcp", 443),
        ("train", "train", "-1", None),
        ("endpoints", "train", "tcp", 443),
        ("endpoints", "serve", "tcp", 443),
        ("pl-network-s3", "train", "tcp", 443),
        ("pl-network-s3", "serve", "tcp", 443),
        ("0.0.0.0/0", "train", "tcp", 443),
        ("0.0.0.0/0", "serve", "tcp", 443),
    }


def test_without_a_way_out_nodes_name_no_address() -> None:
    """Without NAT every rule of a node names a group or S3's list."""
    named = [one.inputs.get("cidrIpv4") for one in of_type(network(nat="none"), EGRESS)]
    assert named == [None] * 6


def test_without_efa_training_opens_tcp_alone() -> None:
    """Gloo and NCCL speak TCP, above the ports of services."""
    (one,) = [one for one in of_type(network(), INGRESS) if one.name == "network-train-to-train-in"]
    assert (one.inputs["ipProtocol"], one.inputs["fromPort"], one.inputs["toPort"]) == ("tcp", 1024, 65535)


def test_every_rule_and_group_says_what_it_is_for() -> None:
    """A description each, of characters that EC2 takes, and tags."""
    registered = network(token_keys=True)
    told = of_type(registered, INGRESS) + of_type(registered, EGRESS)
    told += of_type(registered, "aws:ec2/securityGroup:SecurityGroup")
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789. _-:/()#,@[]+=&;{}!$*")
    assert len(told) == 5 + 9 + 4
    assert [one.name for one in told if not set(one.inputs["description"]) <= allowed] == []
    assert [one.name for one in told if one.inputs["tags"].get("Project") != "skylift"] == []
    assert only(registered, "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup").inputs["ingress"] == []
    assert only(registered, "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup").inputs["egress"] == []


def rule(one: Registered) -> tuple[str, str, str, int | None]:
    """Return a rule's peer, group, protocol and port."""
    inputs = one.inputs
    peer = (
        inputs.get("cidrIpv4")
        or inputs.get("prefixListId")
        or inputs["referencedSecurityGroupId"].removeprefix("network-").removesuffix("-id")
    )
    group = inputs["securityGroupId"].removeprefix("network-").removesuffix("-id")
    port = inputs.get("fromPort")
    assert inputs.get("toPort") == port
    return peer, group, inputs["ipProtocol"], None if port is None else int(port)
