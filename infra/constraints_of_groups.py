"""What AWS refuses of a group of nodes: rules on types, cards, reservations and markets. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from infra.instance_types import InstanceType, instance_type
from infra.settings import Settings


def efa_type(settings: Settings) -> str:
    """EFA needs a card for it."""
    without = [one.name for one in _types(settings.train_instance_types) if not one.efa_cards]
    if not settings.efa or not without:
        return ""
    return (
        f"trainInstanceTypes must all have EFA where efa is true, got `{', '.join(without)}` without; "
        "take larger ones (g6.8xlarge has one card, p5.48xlarge 32), or: pulumi config set efa false"
    )


def efa_layout(settings: Settings) -> str:
    """One template lays out the cards for all types of a group."""
    types = _types(settings.train_instance_types)
    layouts = {(one.efa_cards, one.efa_on_card_zero) for one in types}
    if not settings.efa or len(layouts) == 1:
        return ""
    listed = ", ".join(f"{one.name} ({one.efa_cards})" for one in types)
    return (
        f"trainInstanceTypes must have the same number of EFA cards where efa is true, got {listed}; "
        f"keep one of them: pulumi config rm --path 'trainInstanceTypes[{len(types) - 1}]'"
    )


def block_reservation(settings: Settings) -> str:
    """A capacity block is a reservation with an id."""
    if not settings.capacity_block or settings.capacity_reservation_id:
        return ""
    return (
        "capacityReservationId must be set where capacityBlock is true, got ``; "
        "for example: pulumi config set capacityReservationId cr-0123456789abcdef0"
    )


def block_type(settings: Settings) -> str:
    """Capacity blocks are sold for some types only."""
    without = [one.name for one in _types(settings.train_instance_types) if not one.capacity_block_ok]
    if not settings.capacity_block or not without:
        return ""
    return (
        f"trainInstanceTypes must be sold as capacity blocks where capacityBlock is true, got `{', '.join(without)}`; "
        "for example: pulumi config set --path 'trainInstanceTypes[0]' p5.48xlarge"
    )


def block_size(settings: Settings) -> str:
    """A block is paid for whole, and for its time only: the group is as large as the block, no more and no less."""
    if not settings.capacity_block or settings.train_min_nodes == settings.train_nodes:
        return ""
    return (
        f"trainMinNodes must be trainNodes ({settings.train_nodes}), the block's own size, where capacityBlock is "
        f"true, got {settings.train_min_nodes}; for example: pulumi config set trainMinNodes {settings.train_nodes}"
    )


def block_placement(settings: Settings) -> str:
    """A block's nodes stand close together already."""
    if not settings.capacity_block or not settings.placement_group:
        return ""
    return (
        "placementGroup must be false where capacityBlock is true, got true: AWS takes no placement group with a "
        "capacity block; for example: pulumi config set placementGroup false"
    )


def reservation_placement(settings: Settings) -> str:
    """A reservation made outside of a placement group has no room inside of it."""
    if settings.capacity_block or not settings.capacity_reservation_id or not settings.placement_group:
        return ""
    return (
        f"placementGroup must be false where capacityReservationId is set ({settings.capacity_reservation_id}), got "
        "true: a reservation made without that group has no room in it; "
        "for example: pulumi config set placementGroup false"
    )


def reservation_market(settings: Settings) -> str:
    """No spot node is taken from a reservation."""
    if not settings.capacity_reservation_id or settings.train_on_demand_percentage == 100:
        return ""
    return (
        "trainOnDemandPercentage must be 100 where capacityReservationId is set, "
        f"got {settings.train_on_demand_percentage}: spot nodes are taken from no reservation; "
        "for example: pulumi config set trainOnDemandPercentage 100"
    )


def reservation_type(settings: Settings) -> str:
    """A reservation is of one type."""
    if not settings.capacity_reservation_id or len(settings.train_instance_types) == 1:
        return ""
    return (
        "trainInstanceTypes must be the reservation's one type where capacityReservationId is set, "
        f"got `{', '.join(settings.train_instance_types)}`; take the others out"
    )


def reservation_zone(settings: Settings) -> str:
    """A reservation lies in one zone, and a node that is started in another one finds nothing."""
    if not settings.capacity_reservation_id or settings.zone_names:
        return ""
    return (
        "zoneNames must begin with the reservation's zone where capacityReservationId is set "
        f"({settings.capacity_reservation_id}), got none; "
        f"for example: pulumi config set --path 'zoneNames[0]' {settings.region}a"
    )


def same_gpus(settings: Settings) -> str:
    """The ranks of a training are counted as so many a node."""
    types = _types(settings.train_instance_types)
    if len({one.gpus for one in types}) == 1:
        return ""
    listed = ", ".join(f"{one.name} ({one.gpus})" for one in types)
    return (
        f"trainInstanceTypes must have the same number of GPUs, got {listed}: every node runs as many processes; "
        "take the others out"
    )


def process_per_gpu(settings: Settings) -> str:
    """NCCL refuses two ranks on one GPU."""
    fewest = _fewest_gpus(settings)
    if not fewest or settings.processes_per_node <= fewest:
        return ""
    return (
        f"processesPerNode must be at most the GPUs of a node ({fewest}), got {settings.processes_per_node}; "
        "one a GPU is: pulumi config set processesPerNode 0"
    )


def even_shares(settings: Settings) -> str:
    """A node that gets no even share of the batch waits, and is paid for. A recipe's own batch is only known later."""
    given = [word.partition("=")[2] for word in settings.settings if word.startswith("train.global_batch=")]
    fewest = _fewest_gpus(settings)
    ranks = settings.train_nodes * (settings.processes_per_node or fewest or 1)
    if not given or not given[-1].isdecimal() or int(given[-1]) % ranks == 0:
        return ""
    return (
        f"settings must have a train.global_batch that is a multiple of the {ranks} training processes, got "
        f"{given[-1]}: nodes without an even share would wait; "
        f"for example train.global_batch={-(-int(given[-1]) // ranks) * ranks}"
    )


def same_devices(settings: Settings) -> str:
    """A release is compiled for a GPU or for a CPU."""
    types = _types(settings.serve_instance_types)
    if len({one.gpus > 0 for one in types}) == 1:
        return ""
    return (
        "serveInstanceTypes must all have GPUs or all have none, got "
        f"`{', '.join(one.name for one in types)}`: one release runs on all of them; take the others out"
    )


def one_image(settings: Settings) -> str:
    """One image serves both groups, and an image is of one architecture."""
    types = _types((*settings.train_instance_types, *settings.serve_instance_types))
    architectures = sorted({one.arch for one in types})
    if len(architectures) == 1:
        return ""
    listed = ", ".join(f"{one.name} ({one.arch})" for one in types)
    return (
        f"trainInstanceTypes and serveInstanceTypes must be of one architecture, got {listed}: one image is for all; "
        "take the others out"
    )


def image_architecture(settings: Settings) -> str:
    """The parameter's path says which architecture its image is for."""
    wanted = instance_type(settings.train_instance_types[0]).arch
    words = {"x86_64": ("x86_64", "amd64"), "arm64": ("arm64", "aarch64")}
    named = [
        arch for arch, said in words.items() if any(f"/{word}/" in settings.image_parameter for word in said)
    ]
    if settings.image_id or named in ([], [wanted]):
        return ""
    return (
        f"imageParameter must be of the nodes' architecture ({wanted}), got `{settings.image_parameter}`; "
        f"for example: pulumi config set imageParameter {settings.image_parameter.replace(named[0], wanted)}"
    )


GROUP_RULES: tuple[Callable[[Settings], str], ...] = (
    efa_type,
    efa_layout,
    block_reservation,
    block_type,
    block_size,
    block_placement,
    reservation_placement,
    reservation_market,
    reservation_type,
    reservation_zone,
    same_gpus,
    process_per_gpu,
    even_shares,
    same_devices,
    one_image,
    image_architecture,
)
"""In the order in which they are asked."""


def _types(names: Sequence[str]) -> list[InstanceType]:
    return [instance_type(name) for name in names]


def _fewest_gpus(settings: Settings) -> int:
    return min((one.gpus for one in _types(settings.train_instance_types)), default=0)
