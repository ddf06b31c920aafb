"""A group of GPU nodes: launch template and Auto Scaling group. Used for training and for serving."""

from __future__ import annotations

import base64

import pulumi
import pulumi_aws.autoscaling as autoscaling
import pulumi_aws.ec2 as ec2

from infra import launch_template, scaling
from infra.instance_types import instance_type
from infra.node_group_args import NodeGroupArgs, ServingGroup, TrainingGroup

__all__ = ["NodeGroup", "NodeGroupArgs", "ServingGroup", "TrainingGroup"]

SHUTDOWN_SECONDS = 60
"""Time that a drained serving node has on top, to stop its processes."""


class NodeGroup(pulumi.ComponentResource):
    """Nodes that boot from one template version, in private subnets, without a way in but the load balancer's."""

    name: pulumi.Output[str]
    """The group's physical name."""
    arn: pulumi.Output[str]
    """The group's ARN."""
    launch_template_id: pulumi.Output[str]
    """The template's id."""
    launch_template_version: pulumi.Output[str]
    """The template's version that nodes are launched from, a number."""

    def __init__(self, name: str, args: NodeGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make template, group and what moves its size."""
        super().__init__("skylift:index:NodeGroup", name, None, opts)
        self._prefix, self._args, self._tags = name, args, {**args.tags, "Name": args.group_name}
        template = self._template()
        self.launch_template_id = template.id
        self.launch_template_version = template.latest_version.apply(str)
        group = self._group()
        if args.serving:
            self._serving(group, args.serving)
        self.name, self.arn = group.name, group.arn
        self.register_outputs(
            {
                "name": self.name,
                "arn": self.arn,
                "launch_template_id": self.launch_template_id,
                "launch_template_version": self.launch_template_version,
            }
        )

    def _template(self) -> ec2.LaunchTemplate:
        args, part = self._args, self._args.training
        block = part is not None and part.capacity_block
        return ec2.LaunchTemplate(
            f"{self._prefix}-template",
            description=f"Nodes of {args.group_name}",
            update_default_version=True,
            image_id=args.image_id,
            instance_type=args.instance_types[0],
            user_data=pulumi.Output.from_input(args.user_data).apply(_base64),
            ebs_optimized="true",
            instance_initiated_shutdown_behavior="terminate",
            iam_instance_profile=ec2.LaunchTemplateIamInstanceProfileArgs(arn=args.profile_arn),
            metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            monitoring=ec2.LaunchTemplateMonitoringArgs(enabled=True),
            block_device_mappings=[
                launch_template.root_volume(
                    size_gb=args.volume_gb,
                    iops=args.volume_iops,
                    throughput=args.volume_throughput,
                    kms_key_arn=args.kms_key_arn,
                )
            ],
            network_interfaces=launch_template.network_interfaces(
                instance_type(args.instance_types[0]),
                efa=part is not None and part.efa,
                security_group_id=args.security_group_id,
            ),
            capacity_reservation_specification=launch_template.capacity_reservation(
                part.capacity_reservation_id if part else ""
            ),
            instance_market_options=ec2.LaunchTemplateInstanceMarketOptionsArgs(market_type="capacity-block")
            if block
            else None,
            tag_specifications=launch_template.tag_specifications(self._tags),
            tags=self._tags,
            region=args.region,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _group(self) -> autoscaling.Group:
        args, training, serving = self._args, self._args.training, self._args.serving
        block = training is not None and training.capacity_block
        version = self.launch_template_version
        ignored = ["desiredCapacity"] if training or args.min_nodes else ["desiredCapacity", "minSize"]
        return autoscaling.Group(
            f"{self._prefix}-group",
            name=args.group_name,
            min_size=args.min_nodes,
            max_size=args.max_nodes,
            desired_capacity=args.desired_nodes,
            vpc_zone_identifiers=args.subnet_ids[:1] if args.one_zone else args.subnet_ids,
            placement_group=self._placement_group(),
            launch_template=autoscaling.GroupLaunchTemplateArgs(id=self.launch_template_id, version=version)
            if block  # a mixed instances policy takes no template that names a market
            else None,
            mixed_instances_policy=None
            if block
            else scaling.mixed_instances(
                launch_template_id=self.launch_template_id,
                version=version,
                instance_types=args.instance_types,
                on_demand_base=args.on_demand_base,
                on_demand_percentage=args.on_demand_percentage,
            ),
            health_check_type="EC2",
            service_linked_role_arn=args.service_role_arn,
            health_check_grace_period=serving.warmup_seconds if serving else 300,
            default_instance_warmup=serving.warmup_seconds if serving else 0,
            capacity_rebalance=serving is not None and args.may_be_spot,
            suspended_processes=["AZRebalance"] if training else None,
            termination_policies=["NewestInstance"] if training else ["OldestLaunchTemplate", "Default"],
            initial_lifecycle_hooks=[scaling.terminate_hook(training.drain_seconds)] if training else None,
            target_group_arns=[serving.target_group_arn] if serving else None,
            instance_refresh=scaling.rolling_refresh(
                warmup_seconds=serving.warmup_seconds, rollback_alarms=serving.rollback_alarms
            )
            if serving
            else None,
            enabled_metrics=scaling.GROUP_METRICS,
            wait_for_capacity_timeout="0",
            tags=[
                autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=True)
                for key, value in sorted(self._tags.items())
            ],
            region=args.region,
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=ignored,
                delete_before_replace=training is not None,
                custom_timeouts=pulumi.CustomTimeouts(delete=self._patience()),
            ),
        )

    def _patience(self) -> str:
        """Return how long a group may take to go: its nodes save or drain first."""
        training, serving = self._args.training, self._args.serving
        drain = training.drain_seconds if training else serving.drain_seconds if serving else 0
        return f"{20 + -(-drain // 60)}m"

    def _placement_group(self) -> pulumi.Output[str] | None:
        if not self._args.training or not self._args.training.placement_group:
            return None
        return ec2.PlacementGroup(
            f"{self._prefix}-placement",
            strategy=ec2.PlacementStrategy.CLUSTER,
            tags=self._tags,
            region=self._args.region,
            opts=pulumi.ResourceOptions(parent=self),
        ).name

    def _serving(self, group: autoscaling.Group, part: ServingGroup) -> None:
        autoscaling.LifecycleHook(
            f"{self._prefix}-drain",
            name=scaling.TERMINATE_HOOK,
            autoscaling_group_name=group.name,
            lifecycle_transition=scaling.TERMINATING,
            default_result="CONTINUE",
            heartbeat_timeout=part.drain_seconds + SHUTDOWN_SECONDS,
            region=self._args.region,
            opts=pulumi.ResourceOptions(parent=self),
        )
        autoscaling.Policy(
            f"{self._prefix}-queue",
            autoscaling_group_name=group.name,
            policy_type="TargetTrackingScaling",
            target_tracking_configuration=scaling.queue_tracking(
                group_name=self._args.group_name,
                metrics_namespace=part.metrics_namespace,
                queue_target_ms=part.queue_target_ms,
            ),
            region=self._args.region,
            opts=pulumi.ResourceOptions(parent=self),
        )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
