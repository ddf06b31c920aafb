"""Launching a node as its template's version says; moto takes the default version, one subnet and no profile."""

from __future__ import annotations

from collections import Counter
from typing import Any

from moto.autoscaling.models import ASG_NAME_TAG, FakeAutoScalingGroup
from moto.ec2.models.launch_templates import LaunchTemplateVersion

from infra.rehearsal.scaling.nodes import Node, living


def version_of(group: FakeAutoScalingGroup) -> LaunchTemplateVersion | None:
    """Return the version that a group launches from now; None: it has a launch configuration."""
    template = group.ec2_launch_template
    return template.get_version(group.launch_template_version) if template else None


def launch(group: FakeAutoScalingGroup, at: float) -> Node:
    """Launch one node, in the group's zone with the fewest; it is Pending until EC2 says that it runs.

    Args:
        group: moto's.
        at: now, seconds since 1970.
    """
    ec2 = group.autoscaling_backend.ec2_backend
    version = version_of(group)
    zone, subnet = place(group)
    tags = {**group.get_propagated_tags(), ASG_NAME_TAG: group.name, **group.instance_tags}
    asked: dict[str, Any] = {
        "instance_type": instance_type(group),
        "is_instance_type_default": False,
        "tags": {"instance": tags},
        "placement": zone,
        "subnet_id": subnet,
        "region_name": group.region,
        "launch_config": group.launch_config,
        "associate_public_ip": group.launch_config.associate_public_ip_address
        if group.launch_config
        else None,
    }
    if is_spot(group):
        asked["instance_market_options"] = "spot"
    groups = list(group.security_groups)
    if version is not None:
        asked.update(_from_version(version))
        groups = list(asked.pop("groups", [])) or groups
    asked["security_group_ids"] = [one for one in groups if one.startswith("sg-")]
    names = [one for one in groups if not one.startswith("sg-")]
    reservation = ec2.run_instances(group.image_id, 1, group.user_data, names, **asked)
    (instance,) = reservation.instances
    profile = (version.data.get("IamInstanceProfile") or {}) if version else {}
    if profile:
        ec2.associate_iam_instance_profile(
            instance.id,
            iam_instance_profile_name=profile.get("Name"),
            iam_instance_profile_arn=profile.get("Arn"),
        )
    instance.autoscaling_group = group  # type: ignore[attr-defined]  # moto's own way
    node = Node(instance, group, version, at)
    group.instance_states = [*group.instance_states, node]
    return node


def _from_version(version: LaunchTemplateVersion) -> dict[str, Any]:
    """Return what moto's `run_instances` does not take from a template by itself."""
    data = version.data
    interfaces = data.get("NetworkInterfaces") or []
    groups = [one for interface in interfaces[:1] for one in interface.get("Groups") or []]
    found: dict[str, Any] = {
        "launch_template": {"LaunchTemplateId": version.template.id, "Version": str(version.number)},
        "groups": groups or data.get("SecurityGroupIds") or [],
        "nics": [{"DeviceIndex": 0, "DeleteOnTermination": True}],
        "ebs_optimized": _true(data.get("EbsOptimized")),
        "monitoring_state": "enabled" if _true((data.get("Monitoring") or {}).get("Enabled")) else "disabled",
        "metadata_options": data.get("MetadataOptions") or {},
        "instance_initiated_shutdown_behavior": data.get("InstanceInitiatedShutdownBehavior"),
    }
    if data.get("BlockDeviceMappings"):
        found["block_device_mappings"] = data["BlockDeviceMappings"]
    return found


def _true(value: object) -> bool:
    return str(value).lower() == "true"


def place(group: FakeAutoScalingGroup) -> tuple[str, str | None]:
    """Return zone and subnet of the next node: where the fewest are, in the group's order."""
    there = Counter(one.availability_zone for one in living(group))
    if group.vpc_zone_identifier:
        ec2 = group.autoscaling_backend.ec2_backend
        subnets = [ec2.get_subnet(one.strip()) for one in group.vpc_zone_identifier.split(",")]
        found = min(subnets, key=lambda one: there[one.availability_zone])
        return found.availability_zone, found.id
    return min(group.availability_zones, key=lambda one: there[one]), None


def instance_type(group: FakeAutoScalingGroup) -> str:
    """Return the type of the next node: the first of the policy, which an empty market always has."""
    policy = group.mixed_instances_policy or {}
    overrides = policy.get("LaunchTemplate", {}).get("Overrides") or [{}]
    return str(overrides[0].get("InstanceType") or group.instance_type)


def is_spot(group: FakeAutoScalingGroup) -> bool:
    """Tell whether the next node is a spot instance: the on-demand share comes first, rounded up."""
    policy = group.mixed_instances_policy
    if not policy:
        return False
    distribution = policy.get("InstancesDistribution") or {}
    base = int(distribution.get("OnDemandBaseCapacity") or 0)
    percentage = distribution.get("OnDemandPercentageAboveBaseCapacity")
    nodes = living(group)
    above = max(0, len(nodes) + 1 - base)
    wanted = min(base, len(nodes) + 1) + -(-above * int(100 if percentage is None else percentage) // 100)
    on_demand = sum(one.instance.lifecycle != "spot" for one in nodes)
    return on_demand >= wanted
