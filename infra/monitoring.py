"""What is kept and told: the rooms' logs, the topic that alarms speak to, the alarms, a dashboard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws.cloudwatch as cloudwatch
import pulumi_aws.sns as sns

from infra.alarms import ROLLBACK, balancer_alarms, create, node_alarms
from infra.dashboard import dashboard
from infra.names import Names

SPEAKERS = ("backup", "budgets", "cloudwatch", "costalerts")
"""Services of AWS that may publish to the topic."""


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """What monitoring needs."""

    names: Names
    """Of the stack."""
    region: str
    """Where the metrics are."""
    kms_key_arn: pulumi.Input[str]
    """Encrypts logs and messages; its policy lets CloudWatch, budgets and the logs service use it."""
    log_retention_days: int = 365
    """Days that logs are kept: one of the numbers that CloudWatch knows (30, 90, 365, …)."""
    alarm_email: str = ""
    """Who is written to; AWS asks once for consent. Empty: nobody subscribes."""
    load_balancer_arn_suffix: pulumi.Input[str]
    """What metrics call the balancer."""
    target_group_arn_suffix: pulumi.Input[str]
    """What metrics call the target group."""
    train_group_name: str
    """The training group's name."""
    serve_group_name: str
    """The serving group's name."""
    queue_alarm_ms: int
    """Milliseconds: a longer wait in the queue is an alarm."""
    dashboard: bool = True
    """Whether a dashboard is made."""
    tags: Mapping[str, str]
    """Put on all that can have them."""


class Monitoring(pulumi.ComponentResource):
    """Logs, alarms and a dashboard."""

    topic_arn: pulumi.Output[str]
    """The topic that alarms speak to."""
    rollback_alarms: list[str]
    """Names of the alarms that roll an instance refresh back."""
    dashboard_name: str
    """Empty where none is made."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("skylift:index:Monitoring", name, None, opts)
        for room, group in (("train", args.names.train_log_group), ("serve", args.names.serve_log_group)):
            cloudwatch.LogGroup(
                f"{name}-{room}-log",
                name=group,
                retention_in_days=args.log_retention_days,
                kms_key_id=args.kms_key_arn,
                tags=args.tags,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.topic_arn = self._topic(name, args)
        for one in (
            *balancer_alarms(args.load_balancer_arn_suffix, args.target_group_arn_suffix),
            *node_alarms(
                args.names.metrics_namespace,
                args.train_group_name,
                args.serve_group_name,
                args.queue_alarm_ms,
            ),
        ):
            create(
                f"{name}-{one.what}",
                one,
                physical_name=args.names.alarm(one.what),
                actions=[self.topic_arn],
                calm_actions=[self.topic_arn],
                tags=args.tags,
                parent=self,
            )
        self.rollback_alarms = [args.names.alarm(what) for what in ROLLBACK]
        self.dashboard_name = args.names.prefix if args.dashboard else ""
        if args.dashboard:
            cloudwatch.Dashboard(
                f"{name}-dashboard",
                dashboard_name=self.dashboard_name,
                dashboard_body=pulumi.Output.all(
                    args.load_balancer_arn_suffix, args.target_group_arn_suffix
                ).apply(
                    lambda both: json.dumps(
                        dashboard(
                            args.names.metrics_namespace,
                            args.region,
                            args.train_group_name,
                            args.serve_group_name,
                            *both,
                        )
                    )
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"topicArn": self.topic_arn, "rollbackAlarms": self.rollback_alarms})

    def _topic(self, name: str, args: MonitoringArgs) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self)
        topic = sns.Topic(f"{name}-topic", kms_master_key_id=args.kms_key_arn, tags=args.tags, opts=child)
        policy = sns.TopicPolicy(
            f"{name}-topic-policy",
            arn=topic.arn,
            policy=topic.arn.apply(lambda arn: json.dumps(topic_policy(arn))),
            opts=child,
        )
        if args.alarm_email:
            sns.TopicSubscription(
                f"{name}-email", topic=topic.arn, protocol="email", endpoint=args.alarm_email, opts=child
            )
        return policy.arn  # whoever uses it waits until the topic may be spoken to


def topic_policy(topic_arn: str) -> dict[str, Any]:
    """Return who may publish: AWS's own services, on behalf of this account alone."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ServicesOfThisAccountSpeak",
                "Effect": "Allow",
                "Principal": {"Service": [f"{service}.amazonaws.com" for service in SPEAKERS]},
                "Action": "sns:Publish",
                "Resource": topic_arn,
                "Condition": {"StringEquals": {"aws:SourceAccount": topic_arn.split(":")[4]}},
            }
        ],
    }
