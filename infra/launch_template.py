"""The parts of a launch template, each by a pure function: network cards, disk, market, tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws.ec2 as ec2

from infra.instance_types import InstanceType

ROOT_DEVICE = "/dev/sda1"
"""Root device of Ubuntu's images, deep learning ones too."""


def network_interfaces(
    type_of_node: InstanceType, *, efa: bool, security_group_id: pulumi.Input[str]
) -> list[ec2.LaunchTemplateNetworkInterfaceArgs]:
    """Return a node's network interfaces.

    The layout of AWS's page on EFA types: the first interface is an ordinary one, for it may not be EFA-only; each
    card that can gets an EFA-only one, which takes no address of the subnet. Security groups stand here, for a
    template that names interfaces may not name groups beside them.

    Args:
        type_of_node: whose cards they are.
        efa: whether every card that can speaks EFA.
        security_group_id: of all of them.
    """
    if not efa:
        return [
            ec2.LaunchTemplateNetworkInterfaceArgs(
                network_card_index=0,
                device_index=0,
                associate_public_ip_address="false",
                delete_on_termination="true",
                security_groups=[security_group_id],
            )
        ]
    layout = [(0, 0, "interface")]
    layout += [(card, int(card == 0), "efa-only") for card in _efa_cards(type_of_node)]
    return [
        ec2.LaunchTemplateNetworkInterfaceArgs(
            network_card_index=card,
            device_index=device,
            interface_type=kind,  # no public address is asked for: AWS refuses the word where there are several
            delete_on_termination="true",
            security_groups=[security_group_id],
        )
        for card, device, kind in layout
    ]


def root_volume(
    *, size_gb: int, iops: int, throughput: int, kms_key_arn: pulumi.Input[str]
) -> ec2.LaunchTemplateBlockDeviceMappingArgs:
    """Return the root volume: gp3, encrypted with the stack's own key, gone with its node.

    Args:
        size_gb: GiB.
        iops: operations a second.
        throughput: MiB a second.
        kms_key_arn: the key.
    """
    return ec2.LaunchTemplateBlockDeviceMappingArgs(
        device_name=ROOT_DEVICE,
        ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
            volume_type="gp3",
            volume_size=size_gb,
            iops=iops,
            throughput=throughput,
            encrypted="true",
            kms_key_id=kms_key_arn,
            delete_on_termination="true",
        ),
    )


def capacity_reservation(
    reservation_id: str,
) -> ec2.LaunchTemplateCapacityReservationSpecificationArgs | None:
    """Return the words that take nodes from a reservation and from nowhere else, None for no reservation."""
    if not reservation_id:
        return None
    return ec2.LaunchTemplateCapacityReservationSpecificationArgs(
        capacity_reservation_target=ec2.LaunchTemplateCapacityReservationSpecificationCapacityReservationTargetArgs(
            capacity_reservation_id=reservation_id
        )
    )


def tag_specifications(
    tags: Mapping[str, str], kinds: Sequence[str] = ("instance", "volume", "network-interface")
) -> list[ec2.LaunchTemplateTagSpecificationArgs]:
    """Return the tags of what EC2 makes from a template: provider-wide default tags do not reach it."""
    return [ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=dict(tags)) for kind in kinds]


def _efa_cards(type_of_node: InstanceType) -> list[int]:
    first = 0 if type_of_node.efa_on_card_zero else 1
    return list(range(first, first + type_of_node.efa_cards))
