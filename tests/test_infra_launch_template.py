"""The parts of a launch template: cards by type, a disk that is always encrypted, tags of all that is made."""

from __future__ import annotations

import pytest

from infra.instance_types import instance_type, instance_types
from infra.launch_template import capacity_reservation, network_interfaces, root_volume, tag_specifications


def layout(name: str, *, efa: bool) -> list[tuple[object, object, object]]:
    """Return card, device and kind of each interface."""
    made = network_interfaces(instance_type(name), efa=efa, security_group_id="sg-1")
    return [(one.network_card_index, one.device_index, one.interface_type) for one in made]


@pytest.mark.parametrize(
    ("name", "cards"),
    [
        ("g6.8xlarge", [(0, 0, "interface"), (0, 1, "efa-only")]),
        (
            "p4d.24xlarge",
            [
                (0, 0, "interface"),
                (0, 1, "efa-only"),
                (1, 0, "efa-only"),
                (2, 0, "efa-only"),
                (3, 0, "efa-only"),
            ],
        ),
        (
            "p5.48xlarge",
            [(0, 0, "interface"), (0, 1, "efa-only"), *((n, 0, "efa-only") for n in range(1, 32))],
        ),
        ("p6-b300.48xlarge", [(0, 0, "interface"), *((n, 0, "efa-only") for n in range(1, 17))]),
    ],
)
def test_efa_takes_every_card_that_has_it(name: str, cards: list[tuple[object, object, object]]) -> None:
    assert layout(name, efa=True) == cards


def test_the_first_interface_of_every_type_is_an_ordinary_one_without_a_public_address() -> None:
    for one in instance_types():
        (first, *others) = network_interfaces(one, efa=one.efa_cards > 0, security_group_id="sg-1")
        assert (first.network_card_index, first.device_index) == (0, 0), one.name
        assert first.interface_type in (None, "interface"), one.name
        assert len(others) == one.efa_cards, one.name
        # AWS refuses the word where there are several interfaces; the subnets give no address by themselves
        assert first.associate_public_ip_address == (None if others else "false"), one.name
        assert all(each.security_groups == ["sg-1"] for each in (first, *others)), one.name


def test_without_efa_there_is_one_interface() -> None:
    assert layout("p5.48xlarge", efa=False) == [(0, 0, None)]


def test_the_disk_is_encrypted_with_the_given_key() -> None:
    disk = root_volume(size_gb=100, iops=4000, throughput=500, kms_key_arn="arn:key")
    assert disk.device_name == "/dev/sda1"
    assert disk.ebs is not None
    assert vars(disk.ebs) == {
        "volume_type": "gp3",
        "volume_size": 100,
        "iops": 4000,
        "throughput": 500,
        "encrypted": "true",
        "kms_key_id": "arn:key",
        "delete_on_termination": "true",
    }


def test_no_reservation_leaves_the_market_open() -> None:
    assert capacity_reservation("") is None
    asked = capacity_reservation("cr-1")
    assert asked is not None
    assert asked.capacity_reservation_preference is None
    assert asked.capacity_reservation_target is not None


def test_all_that_a_template_makes_is_tagged() -> None:
    made = tag_specifications({"Project": "skylift"})
    assert [(one.resource_type, one.tags) for one in made] == [
        (kind, {"Project": "skylift"}) for kind in ("instance", "volume", "network-interface")
    ]
