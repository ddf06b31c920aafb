"""What a group of nodes is asked for with: the common part, and the part of each room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pulumi


@dataclass(frozen=True, kw_only=True)
class TrainingGroup:
    """What only a training group has."""

    efa: bool = False
    """Whether nodes speak by the Elastic Fabric Adapter, on every card that the type has."""
    placement_group: bool = False
    """Whether nodes stand close together, in one zone."""
    capacity_reservation_id: str = ""
    """The reservation that nodes are taken from, in the first zone; empty for none."""
    capacity_block: bool = False
    """Whether that reservation is a capacity block for ML."""
    drain_seconds: int = 600
    """How long a node that is told to go may take to save a checkpoint, 30 to 7200 s; of a run that is there already it
    does not change."""


@dataclass(frozen=True, kw_only=True)
class ServingGroup:
    """What only a serving group has."""

    target_group_arn: pulumi.Input[str]
    """Where the load balancer finds the nodes."""
    metrics_namespace: str
    """Namespace of the nodes' `QueueMilliseconds`, whose dimension `Group` is the group's name."""
    queue_target_ms: int
    """Mean wait in a node's queue that the size follows, in ms."""
    drain_seconds: int
    """How long a node that goes still answers, 5 to 90 s."""
    rollback_alarms: Sequence[str] = ()
    """Names of the alarms that undo an instance refresh."""
    warmup_seconds: int = 600
    """How long a new node may take until it is ready and its load counts, in s."""


@dataclass(frozen=True, kw_only=True)
class NodeGroupArgs:
    """One group of nodes."""

    room: Literal["train", "serve"]
    """Which code runs there; it says which of `training` and `serving` must be given."""
    group_name: str
    """Physical name; a training's carries the run id, so that a new run is a new group."""
    region: str
    """Region of the group."""
    subnet_ids: Sequence[pulumi.Input[str]]
    """Private subnets in the order of the zones; a group that must stay in one zone takes the first."""
    security_group_id: pulumi.Input[str]
    """Of every network interface."""
    profile_arn: pulumi.Input[str]
    """Instance profile that gives nodes their role."""
    image_id: pulumi.Input[str]
    """AMI."""
    kms_key_arn: pulumi.Input[str]
    """Key of the volumes; its policy must let the Auto Scaling service role use it."""
    service_role_arn: pulumi.Input[str] | None = None
    """Auto Scaling's service role that the key admits. None: the account's own one."""
    user_data: pulumi.Input[str]
    """Boot script in plain text, no secret in it."""
    instance_types: Sequence[str]
    """The wished type first. With EFA all have its layout of cards, with a capacity block it is the only one."""
    volume_gb: int
    """Root volume in GiB."""
    volume_iops: int = 3000
    """Root volume's operations a second, 3000 to 16000."""
    volume_throughput: int = 250
    """Root volume's MiB a second, 125 to 1000."""
    min_nodes: int = 0
    """Fewest nodes. Training: 0. Serving: 0 until there is a release, or what the stack pins for good."""
    max_nodes: int
    """Most nodes."""
    desired_nodes: int
    """Nodes at first; nodes and alarms own the size from then on."""
    on_demand_base: int = 0
    """Nodes that are never spot."""
    on_demand_percentage: int = 100
    """Share of the nodes above the base that are not spot, 0 to 100."""
    training: TrainingGroup | None = None
    """Given for the room `train`, and for no other."""
    serving: ServingGroup | None = None
    """Given for the room `serve`, and for no other."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of every child, and of what it launches."""

    def __post_init__(self) -> None:
        """Refuse a group that is neither a training nor a serving group.

        Raises:
            ValueError: names the field and the room.
        """
        given = [room for room, part in (("train", self.training), ("serve", self.serving)) if part]
        if given != [self.room]:
            raise ValueError(
                f"a group of the room `{self.room}` needs the part of that room alone, got {given or 'none'}; "
                "give `training` for train, `serving` for serve"
            )

    @property
    def one_zone(self) -> bool:
        """Whether all nodes must stand in the first zone: neither group, cards nor reservation span two."""
        part = self.training
        return part is not None and bool(part.placement_group or part.efa or part.capacity_reservation_id)

    @property
    def may_be_spot(self) -> bool:
        """Whether any node may be taken away by the spot market."""
        return self.on_demand_percentage < 100 and self.on_demand_base < self.max_nodes
