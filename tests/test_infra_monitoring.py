"""Monitoring: logs, topic, and every alarm with its metric, its bound and its actions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.dashboard import dashboard
from infra.monitoring import Monitoring, MonitoringArgs, topic_policy
from infra.names import Names
from tests.mocks import Registered, of_type, only, record

TAGS = {"Stack": "dev"}
TOPIC = "arn:aws:sns:eu-central-1:123456789012:watch-topic"
NEEDED: dict[str, Any] = {
    "names": Names(),
    "region": "eu-central-1",
    "kms_key_arn": "key",
    "load_balancer_arn_suffix": "app/edge/1",
    "target_group_arn_suffix": "targetgroup/edge/2",
    "train_group_name": "skylift-dev-train-r1",
    "serve_group_name": "skylift-dev-serve",
    "queue_alarm_ms": 800,
    "tags": TAGS,
}
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
FRONT = {"LoadBalancer": "app/edge/1"}
SERVE = {"Group": "skylift-dev-serve"}


def made(**more: Any) -> tuple[Monitoring, list[Registered]]:
    kept: list[Monitoring] = []
    registered = record(lambda: kept.append(Monitoring("watch", MonitoringArgs(**NEEDED, **more))))
    return kept[0], registered


def query(word: str, namespace: str, name: str, stat: str, dimensions: dict[str, str], alone: bool) -> Any:
    return {
        "id": word,
        "returnData": alone,
        "metric": {
            "namespace": namespace,
            "metricName": name,
            "stat": stat,
            "period": 60,
            "dimensions": dimensions,
        },
    }


def judged(what: str, expression: str) -> Any:
    return {"id": "judged", "expression": expression, "label": what, "returnData": True}


def test_each_room_has_its_encrypted_log() -> None:
    _, registered = made(log_retention_days=400)
    logs = {one.name: one.inputs for one in of_type(registered, "aws:cloudwatch/logGroup:LogGroup")}
    assert logs == {
        f"watch-{room}-log": {
            "name": f"/skylift/dev/{room}",
            "retentionInDays": 400,
            "kmsKeyId": "key",
            "tags": TAGS,
        }
        for room in ("train", "serve")
    }


def test_the_topic_is_encrypted_and_only_services_of_this_account_speak() -> None:
    _, registered = made()
    assert only(registered, "aws:sns/topic:Topic").inputs == {"kmsMasterKeyId": "key", "tags": TAGS}
    policy = only(registered, "aws:sns/topicPolicy:TopicPolicy").inputs
    assert policy["arn"] == TOPIC
    assert json.loads(policy["policy"]) == topic_policy(TOPIC)
    assert topic_policy(TOPIC) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ServicesOfThisAccountSpeak",
                "Effect": "Allow",
                "Principal": {
                    "Service": [
                        "backup.amazonaws.com",
                        "budgets.amazonaws.com",
                        "cloudwatch.amazonaws.com",
                        "costalerts.amazonaws.com",
                    ]
                },
                "Action": "sns:Publish",
                "Resource": TOPIC,
                "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
            }
        ],
    }


def test_an_address_subscribes_only_when_there_is_one() -> None:
    _, without = made()
    _, registered = made(alarm_email="operations@example.org")
    assert of_type(without, "aws:sns/topicSubscription:TopicSubscription") == []
    assert only(registered, "aws:sns/topicSubscription:TopicSubscription").inputs == {
        "topic": TOPIC,
        "protocol": "email",
        "endpoint": "operations@example.org",
    }


@pytest.mark.parametrize(
    ("what", "threshold", "minutes", "queries"),
    [
        (
            "serve-errors",
            5,
            5,
            [
                query("nodes", "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "Sum", FRONT, False),
                query("front", "AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "Sum", FRONT, False),
                query("answers", "AWS/ApplicationELB", "RequestCount", "Sum", FRONT, False),
                judged(
                    "serve-errors",
                    "100 * (FILL(nodes, 0) + FILL(front, 0)) / (FILL(answers, 0) + FILL(front, 0) + 1)",
                ),
            ],
        ),
        (
            "serve-unhealthy",
            0,
            15,
            [
                query(
                    "unhealthy",
                    "AWS/ApplicationELB",
                    "UnHealthyHostCount",
                    "Maximum",
                    {"LoadBalancer": "app/edge/1", "TargetGroup": "targetgroup/edge/2"},
                    True,
                )
            ],
        ),
        (
            "serve-latency",
            10,
            5,
            [query("latency", "AWS/ApplicationELB", "TargetResponseTime", "p99", FRONT, True)],
        ),
        (
            "serve-queue",
            800,
            10,
            [query("queue", "Skylift/dev", "QueueMilliseconds", "Average", SERVE, True)],
        ),
        ("serve-refused", 0, 1, [query("refused", "Skylift/dev", "Refused", "Maximum", SERVE, True)]),
        (
            "serve-gpu-memory",
            97,
            10,
            [
                query("used", "Skylift/dev", "nvidia_smi_memory_used", "Maximum", SERVE, False),
                query("total", "Skylift/dev", "nvidia_smi_memory_total", "Maximum", SERVE, False),
                judged("serve-gpu-memory", "100 * used / total"),
            ],
        ),
        (
            "serve-gpu-temperature",
            85,
            10,
            [query("celsius", "Skylift/dev", "nvidia_smi_temperature_gpu", "Maximum", SERVE, True)],
        ),
        (
            "train-gpu-temperature",
            85,
            10,
            [
                query(
                    "celsius",
                    "Skylift/dev",
                    "nvidia_smi_temperature_gpu",
                    "Maximum",
                    {"Group": "skylift-dev-train-r1"},
                    True,
                )
            ],
        ),
    ],
)
def test_every_alarm(what: str, threshold: float, minutes: int, queries: list[Any]) -> None:
    alarms = {one.name: dict(one.inputs) for one in of_type(made()[1], ALARM)}
    alarm = alarms[f"watch-{what}"]
    assert len(alarm.pop("alarmDescription")) > 40
    assert alarm == {
        "name": f"skylift-dev-{what}",
        "comparisonOperator": "GreaterThanThreshold",
        "threshold": threshold,
        "evaluationPeriods": minutes,
        "datapointsToAlarm": minutes,
        "treatMissingData": "notBreaching",
        "metricQueries": queries,
        "actionsEnabled": True,
        "alarmActions": [TOPIC],
        "okActions": [TOPIC],
        "tags": TAGS,
    }


def test_there_are_eight_alarms_and_two_of_them_roll_back() -> None:
    monitoring, registered = made()
    names = {one.inputs["name"] for one in of_type(registered, ALARM)}
    assert len(names) == 8
    assert monitoring.rollback_alarms == ["skylift-dev-serve-errors", "skylift-dev-serve-unhealthy"]
    assert names.issuperset(monitoring.rollback_alarms)
    assert only(registered, "skylift:index:Monitoring").outputs == {
        "topicArn": TOPIC,
        "rollbackAlarms": monitoring.rollback_alarms,
    }


def test_the_dashboard_is_made_or_left_out() -> None:
    monitoring, registered = made()
    without, fewer = made(dashboard=False)
    inputs = only(registered, "aws:cloudwatch/dashboard:Dashboard").inputs
    assert inputs["dashboardName"] == monitoring.dashboard_name == "skylift-dev"
    assert json.loads(inputs["dashboardBody"]) == dashboard(
        "Skylift/dev",
        "eu-central-1",
        "skylift-dev-train-r1",
        "skylift-dev-serve",
        "app/edge/1",
        "targetgroup/edge/2",
    )
    assert without.dashboard_name == ""
    assert len(fewer) == len(registered) - 1
