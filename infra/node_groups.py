"""How the two node groups are cut from one component: what each asks for. No resource is made here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

import pulumi

from infra.access import Access
from infra.account import Account
from infra.code_bundle import CodeBundle
from infra.keys import Keys
from infra.load_balancer import LoadBalancer
from infra.lock_hash import wheels_folder
from infra.monitoring import Monitoring
from infra.names import Names
from infra.network import Network
from infra.node_environment import Places, serve_environment, train_environment
from infra.node_group import SHUTDOWN_SECONDS, NodeGroupArgs, ServingGroup, TrainingGroup
from infra.settings import Settings
from infra.storage import Storage
from infra.user_data import UserData, render


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What both groups stand on."""

    settings: Settings
    """Of the stack."""
    names: Names
    """Of the stack."""
    account: Account
    """Zones and image."""
    run_id: str
    """The run that the training group is for."""
    lock_hash: str
    """SHA-256 of uv.lock: wheels in the work bucket lie under it."""
    network: Network
    """Subnets and security groups."""
    keys: Keys
    """Keys of volumes and of releases."""
    storage: Storage
    """Buckets."""
    access: Access
    """Instance profiles."""
    balancer: LoadBalancer
    """Where serving nodes register."""
    monitoring: Monitoring
    """Alarms that roll a refresh back."""
    train_code: CodeBundle
    """The training room."""
    serve_code: CodeBundle
    """The serving room."""
    tags: Mapping[str, str]
    """Put on all that can have them."""


def train_group(ground: Ground) -> NodeGroupArgs:
    """Return what the training group asks for: a size that only its nodes change, down to none when the run is done."""
    settings = ground.settings
    return NodeGroupArgs(
        room="train",
        group_name=ground.names.train_group(ground.run_id),
        region=settings.region,
        subnet_ids=ground.network.private_subnet_ids,
        security_group_id=ground.network.train_security_group_id,
        profile_arn=ground.access.train_profile_arn,
        image_id=ground.account.image_id,
        kms_key_arn=ground.keys.data_key_arn,
        service_role_arn=ground.keys.service_role_arn if settings.service_role_suffix else None,
        user_data=_user_data(ground, "train"),
        instance_types=settings.train_instance_types,
        volume_gb=settings.train_volume_gb,
        volume_iops=settings.volume_iops,
        volume_throughput=settings.volume_throughput,
        min_nodes=0,
        max_nodes=settings.train_nodes,
        desired_nodes=settings.train_nodes,
        on_demand_base=settings.train_on_demand_base,
        on_demand_percentage=settings.train_on_demand_percentage,
        training=TrainingGroup(
            efa=settings.efa,
            placement_group=settings.placement_group,
            capacity_reservation_id=settings.capacity_reservation_id,
            capacity_block=settings.capacity_block,
            drain_seconds=settings.train_drain_seconds,
        ),
        serving=None,
        tags=ground.tags,
    )


def serve_group(ground: Ground) -> NodeGroupArgs:
    """Return what the serving group asks for: nothing until the first release, unless the stack pins its floor."""
    settings = ground.settings
    floor = settings.serve_min_nodes if settings.serve_pinned else 0
    return NodeGroupArgs(
        room="serve",
        group_name=ground.names.serve_group,
        region=settings.region,
        subnet_ids=ground.network.private_subnet_ids,
        security_group_id=ground.network.serve_security_group_id,
        profile_arn=ground.access.serve_profile_arn,
        image_id=ground.account.image_id,
        kms_key_arn=ground.keys.data_key_arn,
        service_role_arn=ground.keys.service_role_arn if settings.service_role_suffix else None,
        user_data=_user_data(ground, "serve"),
        instance_types=settings.serve_instance_types,
        volume_gb=settings.serve_volume_gb,
        volume_iops=settings.volume_iops,
        volume_throughput=settings.volume_throughput,
        min_nodes=floor,
        max_nodes=settings.serve_max_nodes,
        desired_nodes=floor,
        on_demand_base=settings.serve_on_demand_base,
        on_demand_percentage=settings.serve_on_demand_percentage,
        training=None,
        serving=ServingGroup(
            target_group_arn=ground.balancer.target_group_arn,
            metrics_namespace=ground.names.metrics_namespace,
            queue_target_ms=settings.queue_target_ms,
            drain_seconds=settings.drain_seconds,
            rollback_alarms=ground.monitoring.rollback_alarms,
            warmup_seconds=settings.serve_warmup_seconds,
        ),
        tags=ground.tags,
    )


def _user_data(ground: Ground, room: Literal["train", "serve"]) -> pulumi.Output[str]:
    """Return a room's boot script, as soon as AWS has named what it speaks of."""
    code = ground.train_code if room == "train" else ground.serve_code
    named = pulumi.Output.all(
        bundle_uri=code.uri,
        data_bucket=ground.storage.data_bucket,
        work_bucket=ground.storage.work_bucket,
        models_bucket=ground.storage.models_bucket,
        signing_key_arn=ground.keys.signing_key_arn,
        serve_bundle_uri=ground.serve_code.uri,
        target_group_arn=ground.balancer.target_group_arn,
    )

    def script(found: dict[str, str]) -> str:
        places = Places(**{field.name: found[field.name] for field in fields(Places)})
        settings, names = ground.settings, ground.names
        training = room == "train"
        return render(
            UserData(
                room=room,
                region=settings.region,
                bundle_uri=found["bundle_uri"],
                bundle_sha256=code.sha256,
                packages=settings.packages,
                package_index=settings.package_index,
                wheels_uri=f"s3://{places.work_bucket}/{wheels_folder(ground.lock_hash)}",
                log_group=names.train_log_group if training else names.serve_log_group,
                scratch=training,
                stop_seconds=settings.train_drain_seconds
                if training
                else settings.drain_seconds + SHUTDOWN_SECONDS,
                environment=train_environment(
                    settings, names, places, ground.run_id, ground.serve_code.sha256
                )
                if training
                else serve_environment(settings, names, places),
            )
        )

    return named.apply(script)
