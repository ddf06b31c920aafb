"""The dead man's switch: a training that stops making progress stops costing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws.autoscaling as autoscaling

from infra.alarms import Alarm, Metric, create

LONGEST_STALL_MINUTES = 1440
"""CloudWatch looks back a day at most."""
BETWEEN_SECONDS = 300
"""Between two attempts to set the group to zero."""


@dataclass(frozen=True, kw_only=True)
class DeadManArgs:
    """What the switch needs."""

    group_name: pulumi.Input[str]
    """The training group."""
    run_id: str
    """The run that should make progress."""
    metrics_namespace: str
    """Where its nodes write `Step`."""
    stall_minutes: int
    """Minutes with nodes and without a step: 5 to 1440, longer than a start with its packages, data and
    compilation."""
    topic_arn: pulumi.Input[str]
    """Who is told."""
    tags: Mapping[str, str]
    """Put on the alarm."""

    def __post_init__(self) -> None:
        """Refuse what CloudWatch would, or what would end every start."""
        if not 5 <= self.stall_minutes <= LONGEST_STALL_MINUTES:
            raise ValueError(
                f"stall_minutes must be 5 to {LONGEST_STALL_MINUTES} minutes, got `{self.stall_minutes}`; "
                "give a start with its packages, data and compilation time enough"
            )


class DeadMan(pulumi.ComponentResource):
    """No progress for so long: the group goes to zero nodes and somebody is told. Checkpoints stay."""

    alarm_name: pulumi.Output[str]
    """The alarm that pulls the switch."""

    def __init__(self, name: str, args: DeadManArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("skylift:index:DeadMan", name, None, opts)
        to_zero = autoscaling.Policy(
            f"{name}-to-zero",
            autoscaling_group_name=args.group_name,
            policy_type="SimpleScaling",
            adjustment_type="ExactCapacity",
            scaling_adjustment=0,
            cooldown=BETWEEN_SECONDS,
            opts=pulumi.ResourceOptions(parent=self),
        )
        alarm = create(
            f"{name}-stalled",
            stalled(args.group_name, args.run_id, args.metrics_namespace, args.stall_minutes),
            physical_name=None,
            actions=[to_zero.arn, args.topic_arn],
            calm_actions=[args.topic_arn],
            tags=args.tags,
            parent=self,
        )
        self.alarm_name = alarm.name
        self.register_outputs({"alarmName": self.alarm_name})


def stalled(group_name: pulumi.Input[str], run_id: str, namespace: str, minutes: int) -> Alarm:
    """Return the alarm: nodes in service, and no step further in any of so many minutes.

    No data of `Step` counts as no step: a node that hangs says nothing. But no step is an alarm only while there are
    nodes, else a group that has just been made, or whose run is done, would be set to zero for ever.
    """
    return Alarm(
        what="train-stalled",
        description=(
            f"Run {run_id} has had nodes for {minutes} minutes and made no step. The training group is set to 0 "
            "nodes; its checkpoints stay. Look at the training log, then `pulumi up` or set the group's size."
        ),
        metrics={
            "step": Metric(namespace=namespace, name="Step", stat="Maximum", dimensions={"Run": run_id}),
            "nodes": Metric(
                namespace="AWS/AutoScaling",
                name="GroupInServiceInstances",
                stat="Minimum",
                dimensions={"AutoScalingGroupName": group_name},
            ),
        },
        expression="IF(FILL(nodes, 0) > 0 AND FILL(DIFF(step), 0) <= 0, 1, 0)",
        threshold=0,
        minutes=minutes,
    )
