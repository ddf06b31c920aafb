"""A group of nodes as registered: exact inputs of the training and of the serving group."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from infra.node_group import NodeGroup, NodeGroupArgs, ServingGroup, TrainingGroup
from tests.mocks import Registered, of_type, only, record

TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
GROUP = "aws:autoscaling/group:Group"
HOOK = "aws:autoscaling/lifecycleHook:LifecycleHook"
POLICY = "aws:autoscaling/policy:Policy"
PLACEMENT = "aws:ec2/placementGroup:PlacementGroup"
TAGS = {"Project": "skylift", "Stack": "dev"}

TRAIN = NodeGroupArgs(
    room="train",
    group_name="skylift-dev-train-0a1b2c3d",
    region="eu-central-1",
    subnet_ids=["subnet-a", "subnet-b"],
    security_group_id="sg-train",
    profile_arn="arn:aws:iam::123456789012:instance-profile/train",
    image_id="ami-0123456789abcdef0",
    kms_key_arn="arn:aws:kms:eu-central-1:123456789012:key/data",
    user_data="#!/bin/bash\necho on\n",
    instance_types=["g6.xlarge", "g5.xlarge"],
    volume_gb=200,
    max_nodes=2,
    desired_nodes=2,
    on_demand_percentage=0,
    training=TrainingGroup(drain_seconds=900),
    tags=TAGS,
)
SERVE = replace(
    TRAIN,
    room="serve",
    group_name="skylift-dev-serve",
    security_group_id="sg-serve",
    max_nodes=4,
    desired_nodes=0,
    training=None,
    serving=ServingGroup(
        target_group_arn="arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/serve/1",
        metrics_namespace="Skylift/dev",
        queue_target_ms=50,
        drain_seconds=60,
        rollback_alarms=["skylift-dev-errors"],
        warmup_seconds=420,
    ),
)
NAMED = {**TAGS, "Name": "skylift-dev-train-0a1b2c3d"}


def registered(args: NodeGroupArgs) -> list[Registered]:
    """Return what a group registers."""
    return record(lambda: NodeGroup(args.room, args))


def with_training(**changes: Any) -> NodeGroupArgs:
    """Return the training group with another part of its own."""
    assert TRAIN.training
    return replace(TRAIN, training=replace(TRAIN.training, **changes))


def test_a_training_group_is_a_template_and_a_group() -> None:
    made = registered(TRAIN)
    assert [(one.type, one.name, one.parent) for one in made] == [
        ("skylift:index:NodeGroup", "train", "skylift-dev"),
        (TEMPLATE, "train-template", "train"),
        (GROUP, "train-group", "train"),
    ]


def test_the_template_is_closed_and_encrypted() -> None:
    template = only(registered(TRAIN), TEMPLATE)
    assert template.inputs == {
        "description": "Nodes of skylift-dev-train-0a1b2c3d",
        "updateDefaultVersion": True,
        "imageId": "ami-0123456789abcdef0",
        "instanceType": "g6.xlarge",
        "userData": base64.b64encode(b"#!/bin/bash\necho on\n").decode(),
        "ebsOptimized": "true",
        "instanceInitiatedShutdownBehavior": "terminate",
        "iamInstanceProfile": {"arn": "arn:aws:iam::123456789012:instance-profile/train"},
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
        },
        "monitoring": {"enabled": True},
        "blockDeviceMappings": [
            {
                "deviceName": "/dev/sda1",
                "ebs": {
                    "volumeType": "gp3",
                    "volumeSize": 200,
                    "iops": 3000,
                    "throughput": 250,
                    "encrypted": "true",
                    "kmsKeyId": "arn:aws:kms:eu-central-1:123456789012:key/data",
                    "deleteOnTermination": "true",
                },
            }
        ],
        "networkInterfaces": [
            {
                "networkCardIndex": 0,
                "deviceIndex": 0,
                "associatePublicIpAddress": "false",
                "deleteOnTermination": "true",
                "securityGroups": ["sg-train"],
            }
        ],
        "tagSpecifications": [
            {"resourceType": kind, "tags": NAMED} for kind in ("instance", "volume", "network-interface")
        ],
        "tags": NAMED,
        "region": "eu-central-1",
    }


def test_a_training_group_owns_all_but_its_size() -> None:
    group = only(registered(TRAIN), GROUP)
    assert group.inputs == {
        "name": "skylift-dev-train-0a1b2c3d",
        "minSize": 0,
        "maxSize": 2,
        "desiredCapacity": 2,
        "vpcZoneIdentifiers": ["subnet-a", "subnet-b"],
        "mixedInstancesPolicy": {
            "launchTemplate": {
                "launchTemplateSpecification": {"launchTemplateId": "train-template-id", "version": "1"},
                "overrides": [{"instanceType": "g6.xlarge"}, {"instanceType": "g5.xlarge"}],
            },
            "instancesDistribution": {
                "onDemandAllocationStrategy": "prioritized",
                "onDemandBaseCapacity": 0,
                "onDemandPercentageAboveBaseCapacity": 0,
                "spotAllocationStrategy": "price-capacity-optimized",
            },
        },
        "healthCheckType": "EC2",
        "healthCheckGracePeriod": 300,
        "defaultInstanceWarmup": 0,
        "capacityRebalance": False,
        "suspendedProcesses": ["AZRebalance"],
        "terminationPolicies": ["NewestInstance"],
        "initialLifecycleHooks": [
            {
                "name": "terminate",
                "lifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
                "defaultResult": "CONTINUE",
                "heartbeatTimeout": 900,
            }
        ],
        "enabledMetrics": [
            "GroupDesiredCapacity",
            "GroupInServiceInstances",
            "GroupPendingInstances",
            "GroupTerminatingInstances",
        ],
        "waitForCapacityTimeout": "0",
        "tags": [
            {"key": key, "value": NAMED[key], "propagateAtLaunch": True}
            for key in ("Name", "Project", "Stack")
        ],
        "region": "eu-central-1",
    }
    assert group.options["ignoreChanges"] == ["desiredCapacity"]
    assert group.options["deleteBeforeReplace"] is True
    assert group.options["customTimeouts"] == {"delete": "35m"}  # 900 s to save, and 20 minutes


def test_a_serving_group_has_balancer_queue_target_hook_and_refresh() -> None:
    made = registered(SERVE)
    assert sorted((one.name, one.type, one.parent) for one in made[1:]) == [
        ("serve-drain", HOOK, "serve"),
        ("serve-group", GROUP, "serve"),
        ("serve-queue", POLICY, "serve"),
        ("serve-template", TEMPLATE, "serve"),
    ]
    group = only(made, GROUP)
    assert group.inputs["targetGroupArns"] == [
        "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/serve/1"
    ]
    assert group.inputs["instanceRefresh"] == {
        "strategy": "Rolling",
        "preferences": {
            "minHealthyPercentage": 100,
            "maxHealthyPercentage": 110,
            "instanceWarmup": "420",
            "autoRollback": True,
            "skipMatching": True,
            "alarmSpecification": {"alarms": ["skylift-dev-errors"]},
        },
    }
    assert (group.inputs["minSize"], group.inputs["desiredCapacity"], group.inputs["maxSize"]) == (0, 0, 4)
    assert group.inputs["vpcZoneIdentifiers"] == ["subnet-a", "subnet-b"]
    assert (group.inputs["healthCheckGracePeriod"], group.inputs["defaultInstanceWarmup"]) == (420, 420)
    assert group.inputs["healthCheckType"] == "EC2"
    assert group.inputs["capacityRebalance"] is True
    assert group.inputs["terminationPolicies"] == ["OldestLaunchTemplate", "Default"]
    assert "suspendedProcesses" not in group.inputs
    assert "initialLifecycleHooks" not in group.inputs
    assert group.options["ignoreChanges"] == ["desiredCapacity", "minSize"]
    assert "deleteBeforeReplace" not in group.options
    assert only(made, HOOK).inputs == {
        "name": "terminate",
        "autoscalingGroupName": "skylift-dev-serve",
        "lifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "defaultResult": "CONTINUE",
        "heartbeatTimeout": 120,
        "region": "eu-central-1",
    }
    assert only(made, POLICY).inputs == {
        "autoscalingGroupName": "skylift-dev-serve",
        "policyType": "TargetTrackingScaling",
        "targetTrackingConfiguration": {
            "targetValue": 50.0,
            "customizedMetricSpecification": {
                "metricName": "QueueMilliseconds",
                "namespace": "Skylift/dev",
                "statistic": "Average",
                "metricDimensions": [{"name": "Group", "value": "skylift-dev-serve"}],
            },
        },
        "region": "eu-central-1",
    }


def test_a_pinned_serving_group_keeps_its_floor_in_the_stack() -> None:
    group = only(registered(replace(SERVE, min_nodes=2, desired_nodes=2)), GROUP)
    assert group.inputs["minSize"] == 2
    assert group.options["ignoreChanges"] == ["desiredCapacity"]


def test_without_alarms_a_refresh_names_none() -> None:
    assert SERVE.serving
    group = only(registered(replace(SERVE, serving=replace(SERVE.serving, rollback_alarms=()))), GROUP)
    assert "alarmSpecification" not in group.inputs["instanceRefresh"]["preferences"]


def test_a_placement_group_is_one_cluster_in_one_zone() -> None:
    made = registered(with_training(placement_group=True))
    assert only(made, PLACEMENT).inputs == {"strategy": "cluster", "tags": NAMED, "region": "eu-central-1"}
    group = only(made, GROUP)
    assert group.inputs["placementGroup"] == "train-placement"
    assert group.inputs["vpcZoneIdentifiers"] == ["subnet-a"]


def test_with_efa_nodes_stand_in_one_zone_with_all_their_cards() -> None:
    made = registered(replace(with_training(efa=True), instance_types=["p4d.24xlarge"]))
    assert [
        (one["networkCardIndex"], one["deviceIndex"], one["interfaceType"], one["securityGroups"])
        for one in only(made, TEMPLATE).inputs["networkInterfaces"]
    ] == [
        (0, 0, "interface", ["sg-train"]),
        (0, 1, "efa-only", ["sg-train"]),
        *((card, 0, "efa-only", ["sg-train"]) for card in (1, 2, 3)),
    ]
    assert only(made, GROUP).inputs["vpcZoneIdentifiers"] == ["subnet-a"]


def test_a_capacity_block_is_a_market_of_its_own_without_mixed_types() -> None:
    made = registered(
        replace(
            with_training(efa=True, capacity_block=True, capacity_reservation_id="cr-0123456789abcdef0"),
            instance_types=["p5.48xlarge"],
        )
    )
    template, group = only(made, TEMPLATE), only(made, GROUP)
    assert template.inputs["instanceMarketOptions"] == {"marketType": "capacity-block"}
    assert template.inputs["capacityReservationSpecification"] == {
        "capacityReservationTarget": {"capacityReservationId": "cr-0123456789abcdef0"}
    }
    assert group.inputs["launchTemplate"] == {"id": "train-template-id", "version": "1"}
    assert "mixedInstancesPolicy" not in group.inputs
    assert group.inputs["vpcZoneIdentifiers"] == ["subnet-a"]


def test_the_group_tells_its_name_and_its_version() -> None:
    (component,) = of_type(registered(TRAIN), "skylift:index:NodeGroup")
    assert component.outputs == {
        "name": "skylift-dev-train-0a1b2c3d",
        "arn": "arn:aws:autoscaling:eu-central-1:123456789012:train-group",
        "launch_template_id": "train-template-id",
        "launch_template_version": "1",
    }
