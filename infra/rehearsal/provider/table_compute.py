"""Rows of the nodes: launch templates and groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider import group_drain, instance_refresh, shapes
from infra.rehearsal.provider.properties import Value
from infra.rehearsal.provider.row import Row
from infra.rehearsal.provider.tags import EC2, EC2_LISTED
from infra.rehearsal.provider.target import Target

TEMPLATE_NAMES = {
    "networkInterfaces.securityGroups": "Groups",
    "metadataOptions.instanceMetadataTags": "InstanceMetadataTags",
    "tags": "",
    "name": "",
    "description": "",
}
TEMPLATE_DATA = (
    "instanceType",
    "imageId",
    "userData",
    "metadataOptions",
    "networkInterfaces",
    "iamInstanceProfile",
    "instanceInitiatedShutdownBehavior",
    "tagSpecifications",
    "blockDeviceMappings",
    "monitoring",
    "ebsOptimized",
    "instanceMarketOptions",
    "capacityReservationSpecification",
    "placement",
)
GROUP_NAMES = {
    "name": "AutoScalingGroupName",
    "vpcZoneIdentifiers": "VPCZoneIdentifier",
    "mixedInstancesPolicy.launchTemplate.launchTemplateSpecification.launchTemplateName": "LaunchTemplateName",
    "targetGroupArns": "TargetGroupARNs",
    "tags": "",
    "enabledMetrics": "",
    "suspendedProcesses": "",
    "initialLifecycleHooks": "",
    "instanceMaintenancePolicy": "InstanceMaintenancePolicy",
    "loadBalancers": "LoadBalancerNames",
}
GROUP_SETS = ("tags", "enabledMetrics", "suspendedProcesses", "targetGroupArns")
ALL_METRICS = "1Minute"


def template_data(target: Target) -> dict[str, Any]:
    """Return what instances of a template are started with."""
    shape = target.shape("create_launch_template").members["LaunchTemplateData"]
    inputs = {name: target.inputs[name] for name in TEMPLATE_DATA if name in target.inputs}
    return shapes.document(shape, inputs, TEMPLATE_NAMES)


def _template(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation == "create_launch_template":
        request["LaunchTemplateData"] = template_data(target)
        if target.inputs.get("description"):
            request["VersionDescription"] = target.inputs["description"]
    return request


def _new_version(target: Target, changed: set[str]) -> None:
    """Make a version of what has changed, and the default one of it: so the AWS plugin does where it is told."""
    if not target.before or not changed & {*TEMPLATE_DATA, "description"}:
        return
    described = target.inputs.get("description")
    version = target.call(
        "create_launch_template_version",
        token=target.token(),
        LaunchTemplateId=target.id,
        LaunchTemplateData=template_data(target),
        **({"VersionDescription": described} if described else {}),
    )["LaunchTemplateVersion"]
    if target.inputs.get("updateDefaultVersion"):
        number = str(version["VersionNumber"])
        target.call("modify_launch_template", LaunchTemplateId=target.id, DefaultVersion=number)


def _template_seen(target: Target, _: Mapping[str, Any]) -> dict[str, Any]:
    """Compare what the latest version holds with what is asked for, block by block."""
    versions = target.call(
        "describe_launch_template_versions", LaunchTemplateId=target.id, Versions=["$Latest"]
    )["LaunchTemplateVersions"]
    there, asked = versions[0]["LaunchTemplateData"], template_data(target)
    shape = target.shape("create_launch_template").members["LaunchTemplateData"]
    seen = {}
    for name in TEMPLATE_DATA:
        member = shapes.member_of(shape, name, TEMPLATE_NAMES)
        if member in asked and not shapes.holds(asked[member], there.get(member)):
            seen[name] = shapes.plain(there.get(member))
    return seen


def _group(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation == "create_auto_scaling_group":
        hooks = target.shape(operation).members["LifecycleHookSpecificationList"]
        names = {"initialLifecycleHooks.name": "LifecycleHookName"}
        given = target.inputs.get("initialLifecycleHooks")
        if given:
            request["LifecycleHookSpecificationList"] = shapes.coerce(
                hooks, given, names, "initialLifecycleHooks."
            )
        request["Tags"] = _group_tags(target, target.inputs)
    if operation == "update_auto_scaling_group":
        _leave_unchanged(target, request)
    if operation == "delete_auto_scaling_group":
        request["ForceDelete"] = True
    return request


def _leave_unchanged(target: Target, request: dict[str, Any]) -> None:
    """Say only what has changed, as the AWS plugin does: nodes set sizes too, and an update must not set them back."""
    shape = target.shape("update_auto_scaling_group")
    for name, value in target.before.items():
        if name != "name" and target.inputs.get(name) == value:
            request.pop(shapes.member_of(shape, name, GROUP_NAMES), None)


def _group_tags(target: Target, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "ResourceId": str(target.inputs["name"]),
            "ResourceType": "auto-scaling-group",
            "Key": tag["key"],
            "Value": tag["value"],
            "PropagateAtLaunch": bool(tag["propagateAtLaunch"]),
        }
        for tag in inputs.get("tags") or []
    ]


def _group_change(target: Target, changed: set[str]) -> None:
    group = {"AutoScalingGroupName": target.inputs["name"]}
    gone = {
        name: sorted(set(_texts(target.before.get(name))) - set(_texts(target.inputs.get(name))))
        for name in GROUP_SETS
        if name != "tags"
    }
    new = {name: list(_texts(target.inputs.get(name))) for name in GROUP_SETS if name != "tags"}
    if "enabledMetrics" in changed:
        if new["enabledMetrics"]:
            target.call(
                "enable_metrics_collection", **group, Granularity=ALL_METRICS, Metrics=new["enabledMetrics"]
            )
        if gone["enabledMetrics"]:
            target.call("disable_metrics_collection", **group, Metrics=gone["enabledMetrics"])
    if "suspendedProcesses" in changed:
        if new["suspendedProcesses"]:
            target.call("suspend_processes", **group, ScalingProcesses=new["suspendedProcesses"])
        if gone["suspendedProcesses"]:
            target.call("resume_processes", **group, ScalingProcesses=gone["suspendedProcesses"])
    if "targetGroupArns" in changed:
        if gone["targetGroupArns"]:
            target.call(
                "detach_load_balancer_target_groups", **group, TargetGroupARNs=gone["targetGroupArns"]
            )
        if new["targetGroupArns"]:
            target.call("attach_load_balancer_target_groups", **group, TargetGroupARNs=new["targetGroupArns"])
    if target.before and "tags" in changed:
        wanted, before = _group_tags(target, target.inputs), _group_tags(target, target.before)
        lost = [tag for tag in before if tag["Key"] not in {one["Key"] for one in wanted}]
        if lost:
            target.call("delete_tags", Tags=lost)
        if wanted:
            target.call("create_or_update_tags", Tags=wanted)
    instance_refresh.start(target, changed, GROUP_NAMES)


def _texts(values: Value) -> list[str]:
    return [str(one) for one in values or []]


def _group_seen(_: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tags": [
            {"key": tag["Key"], "value": tag["Value"], "propagateAtLaunch": tag["PropagateAtLaunch"]}
            for tag in found.get("Tags", [])
        ],
        "enabledMetrics": [one["Metric"] for one in found.get("EnabledMetrics", [])],
        "suspendedProcesses": [one["ProcessName"] for one in found.get("SuspendedProcesses", [])],
        "targetGroupArns": found.get("TargetGroupARNs", []),
        "vpcZoneIdentifiers": [one for one in str(found.get("VPCZoneIdentifier", "")).split(",") if one],
    }


ROWS: Mapping[str, Row] = {
    "aws:ec2/launchTemplate:LaunchTemplate": Row(
        service="ec2",
        kind="patched",
        create="create_launch_template",
        read="describe_launch_templates",
        delete="delete_launch_template",
        id="answer.LaunchTemplate.LaunchTemplateId",
        address={"LaunchTemplateId": "id", "LaunchTemplateIds": "[id]"},
        found="LaunchTemplates[0]",
        names={"name": "LaunchTemplateName"},
        outputs={
            "arn": "join('', ['arn:aws:ec2:', region, ':', account, ':launch-template/', id])",
            "latestVersion": "found.LatestVersionNumber",
            "defaultVersion": "found.DefaultVersionNumber",
        },
        moves=("latestVersion", "defaultVersion"),
        named="name",
        name_limit=128,
        replace=("name",),
        in_place=(*TEMPLATE_DATA, "description"),
        local=("updateDefaultVersion",),
        mend=_template,
        change=_new_version,
        seen=_template_seen,
        tagging=EC2_LISTED,
    ),
    "aws:ec2/placementGroup:PlacementGroup": Row(
        service="ec2",
        kind="recorded",
        create="create_placement_group",
        id="inputs.name",
        names={"name": "GroupName"},
        outputs={"arn": "join('', ['arn:aws:ec2:', region, ':', account, ':placement-group/', id])"},
        named="name",
        name_limit=255,
        tagging=EC2,
    ),
    "aws:autoscaling/group:Group": Row(
        service="autoscaling",
        kind="patched",
        create="create_auto_scaling_group",
        read="describe_auto_scaling_groups",
        update=("update_auto_scaling_group",),
        delete="delete_auto_scaling_group",
        id="inputs.name",
        address={"AutoScalingGroupName": "inputs.name", "AutoScalingGroupNames": "[inputs.name]"},
        found="AutoScalingGroups[0]",
        names=GROUP_NAMES,
        outputs={"arn": "found.AutoScalingGroupARN"},
        named="name",
        name_limit=255,
        replace=("name", "initialLifecycleHooks"),
        in_place=GROUP_SETS,
        local=("waitForCapacityTimeout", "forceDelete", "instanceRefresh", "waitForElbCapacity"),
        unseen=("defaultInstanceWarmup",),  # the emulator forgets it
        mend=_group,
        change=_group_change,
        seen=_group_seen,
        before_delete=group_drain.drain,
        notes={"instanceRefresh": "started; without nodes that run it stays Pending, as nobody replaces any"},
    ),
}
