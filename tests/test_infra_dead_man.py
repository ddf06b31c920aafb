"""The dead man's switch: what raises the alarm, and what it then does."""

from __future__ import annotations

import pytest

from infra.dead_man import DeadMan, DeadManArgs
from tests.mocks import Registered, only, record

TAGS = {"Stack": "dev"}


def args(stall_minutes: int = 45) -> DeadManArgs:
    return DeadManArgs(
        group_name="skylift-dev-train-r1",
        run_id="r1",
        metrics_namespace="Skylift/dev",
        stall_minutes=stall_minutes,
        topic_arn="topic",
        tags=TAGS,
    )


def made() -> list[Registered]:
    return record(lambda: DeadMan("switch", args()))


def test_the_group_goes_to_zero_by_a_policy_of_its_own() -> None:
    registered = made()
    assert [one.name for one in registered] == ["switch", "switch-to-zero", "switch-stalled"]
    assert only(registered, "aws:autoscaling/policy:Policy").inputs == {
        "autoscalingGroupName": "skylift-dev-train-r1",
        "policyType": "SimpleScaling",
        "adjustmentType": "ExactCapacity",
        "scalingAdjustment": 0,
        "cooldown": 300,
    }
    assert only(registered, "skylift:index:DeadMan").outputs == {"alarmName": "switch-stalled"}


def test_no_step_is_an_alarm_while_there_are_nodes() -> None:
    alarm = dict(only(made(), "aws:cloudwatch/metricAlarm:MetricAlarm").inputs)
    assert alarm.pop("alarmDescription") == (
        "Run r1 has had nodes for 45 minutes and made no step. The training group is set to 0 nodes; "
        "its checkpoints stay. Look at the training log, then `pulumi up` or set the group's size."
    )
    assert alarm == {
        "comparisonOperator": "GreaterThanThreshold",
        "threshold": 0,
        "evaluationPeriods": 45,
        "datapointsToAlarm": 45,
        "treatMissingData": "notBreaching",
        "metricQueries": [
            {
                "id": "step",
                "returnData": False,
                "metric": {
                    "namespace": "Skylift/dev",
                    "metricName": "Step",
                    "stat": "Maximum",
                    "period": 60,
                    "dimensions": {"Run": "r1"},
                },
            },
            {
                "id": "nodes",
                "returnData": False,
                "metric": {
                    "namespace": "AWS/AutoScaling",
                    "metricName": "GroupInServiceInstances",
                    "stat": "Minimum",
                    "period": 60,
                    "dimensions": {"AutoScalingGroupName": "skylift-dev-train-r1"},
                },
            },
            {
                "id": "judged",
                "expression": "IF(FILL(nodes, 0) > 0 AND FILL(DIFF(step), 0) <= 0, 1, 0)",
                "label": "train-stalled",
                "returnData": True,
            },
        ],
        "actionsEnabled": True,
        "alarmActions": ["arn:aws:autoscaling:eu-central-1:123456789012:switch-to-zero", "topic"],
        "okActions": ["topic"],
        "tags": TAGS,
    }


@pytest.mark.parametrize("minutes", [4, 1441])
def test_a_stall_that_cloudwatch_cannot_see_is_refused(minutes: int) -> None:
    with pytest.raises(ValueError, match="stall_minutes") as refused:
        args(minutes)
    assert str(refused.value) == (
        f"stall_minutes must be 5 to 1440 minutes, got `{minutes}`; "
        "give a start with its packages, data and compilation time enough"
    )
