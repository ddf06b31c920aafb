"""Alarms are judged by the data that is there, and do what they say: run policies, and speak to topics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from moto.sns.models import sns_backends

from infra.dead_man import stalled
from infra.rehearsal.scaling.desk import DESK
from infra.rehearsal.scaling.loop import report, watch
from tests.rehearsal.scaling_account import REGION, Account, scaling_account

NAMESPACE = "skylift/dev"


@pytest.fixture
def account() -> Iterator[Account]:
    """An account with a group of two nodes."""
    with scaling_account() as made:
        made.group(made.template(), 2)
        made.client("autoscaling").enable_metrics_collection(
            AutoScalingGroupName="nodes", Granularity="1Minute", Metrics=["GroupInServiceInstances"]
        )
        yield made


def put(account: Account, name: str, value: float, dimensions: dict[str, str]) -> None:
    """Report a value now."""
    account.client("cloudwatch").put_metric_data(
        Namespace=NAMESPACE,
        MetricData=[
            {
                "MetricName": name,
                "Value": value,
                "Timestamp": datetime.fromtimestamp(account.time[0], UTC),
                "Dimensions": [{"Name": key, "Value": one} for key, one in dimensions.items()],
            }
        ],
    )


def minute(account: Account) -> None:
    """Let a minute pass, and everything be looked at."""
    report(DESK)
    account.wait(60 / DESK.clock.speed)
    watch(DESK)
    account.wait()


def topic(account: Account) -> str:
    """Make a topic and return its ARN."""
    return str(account.client("sns").create_topic(Name="told")["TopicArn"])


def dead_man(account: Account, minutes: int) -> None:
    """Make the dead man's alarm and its policy, as the program does."""
    groups = account.client("autoscaling")
    policy = groups.put_scaling_policy(
        AutoScalingGroupName="nodes",
        PolicyName="to-zero",
        PolicyType="SimpleScaling",
        AdjustmentType="ExactCapacity",
        ScalingAdjustment=0,
        Cooldown=300,
    )["PolicyARN"]
    alarm = stalled("nodes", "run", NAMESPACE, minutes)
    queries: list[dict[str, Any]] = [
        {
            "Id": word,
            "ReturnData": False,
            "MetricStat": {
                "Metric": {
                    "Namespace": one.namespace,
                    "MetricName": one.name,
                    "Dimensions": [{"Name": key, "Value": value} for key, value in one.dimensions.items()],
                },
                "Period": 60,
                "Stat": one.stat,
            },
        }
        for word, one in alarm.metrics.items()
    ]
    queries.append({"Id": "judged", "Expression": alarm.expression, "ReturnData": True})
    account.client("cloudwatch").put_metric_alarm(
        AlarmName="stalled",
        AlarmDescription=alarm.description,
        ComparisonOperator="GreaterThanThreshold",
        Threshold=alarm.threshold,
        EvaluationPeriods=alarm.minutes,
        DatapointsToAlarm=alarm.minutes,
        TreatMissingData="notBreaching",
        Metrics=queries,
        AlarmActions=[policy, topic(account)],
        OKActions=[topic(account)],
    )


def state(account: Account, name: str = "stalled") -> str:
    """Return an alarm's state as the API shows it."""
    (found,) = account.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(found["StateValue"])


def test_a_training_that_stalls_goes_to_zero(account: Account) -> None:
    """Nodes and no step for 5 minutes: no node left, and somebody is told; a node more is not for it to begin."""
    dead_man(account, 5)
    for step in range(8):
        put(account, "Step", step, {"Run": "run"})
        minute(account)
    assert state(account) == "OK"
    minutes = 0
    while state(account) != "ALARM":
        put(account, "Step", 7, {"Run": "run"})
        minute(account)
        minutes += 1
    assert minutes == 5
    assert account.states() == {}
    minute(account)
    minute(account)
    assert state(account) == "OK"  # no nodes: nothing to pull the switch for
    sent = sns_backends["123456789012"][REGION].topics[topic(account)].sent_notifications
    assert [json.loads(one[1])["NewStateValue"] for one in sent] == ["ALARM", "OK"]
    assert account.told("alarm", "message") == ["alarm", "message"] * 2


def test_the_dead_man_waits_in_our_minutes(account: Account) -> None:
    """However fast AWS's pass: a node's start is no faster."""
    dead_man(account, 5)
    DESK.clock.set_speed(60)
    for _ in range(30):
        minute(account)
    assert state(account) == "OK"


def test_a_policy_rests_for_its_cooldown(account: Account) -> None:
    """Somebody sets the group up again while the alarm is still raised: it has 5 minutes."""
    dead_man(account, 5)
    while state(account) != "ALARM":
        minute(account)
    account.client("autoscaling").set_desired_capacity(AutoScalingGroupName="nodes", DesiredCapacity=1)
    minute(account)
    assert len(account.states()) == 1


@pytest.mark.parametrize(("value", "raised"), [(101, "ALARM"), (100, "OK")])
def test_an_alarm_of_one_metric(account: Account, value: float, raised: str) -> None:
    """Beyond the threshold, in that dimension alone."""
    account.client("cloudwatch").put_metric_alarm(
        AlarmName="queue",
        Namespace=NAMESPACE,
        MetricName="QueueMilliseconds",
        Statistic="Average",
        Dimensions=[{"Name": "Group", "Value": "nodes"}],
        Period=60,
        EvaluationPeriods=2,
        Threshold=100,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    for _ in range(3):
        put(account, "QueueMilliseconds", value, {"Group": "nodes"})
        put(account, "QueueMilliseconds", 9999, {"Group": "others"})
        minute(account)
    assert state(account, "queue") == raised


def test_an_alarm_that_cannot_be_judged_is_told_once(account: Account) -> None:
    """Its state stays, and the diary names what is not known."""
    account.client("cloudwatch").put_metric_alarm(
        AlarmName="odd",
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        Metrics=[{"Id": "odd", "Expression": "SELECT AVG(x) FROM y", "ReturnData": True}],
    )
    for _ in range(3):
        minute(account)
    assert account.told("refused") == ["refused"]


def track(account: Account, **more: Any) -> None:
    """Let the group follow its queue: 100 ms."""
    account.client("autoscaling").put_scaling_policy(
        AutoScalingGroupName="nodes",
        PolicyName="queue",
        PolicyType="TargetTrackingScaling",
        EstimatedInstanceWarmup=120,
        TargetTrackingConfiguration={
            "TargetValue": 100.0,
            "CustomizedMetricSpecification": {
                "MetricName": "QueueMilliseconds",
                "Namespace": NAMESPACE,
                "Statistic": "Average",
                "Dimensions": [{"Name": "Group", "Value": "nodes"}],
            },
            **more,
        },
    )


def load(account: Account, milliseconds: float, minutes: int) -> list[int]:
    """Let the queue be so long for some minutes; return the group's size after each."""
    sizes = []
    for _ in range(minutes):
        put(account, "QueueMilliseconds", milliseconds, {"Group": "nodes"})
        minute(account)
        sizes.append(len(account.states()))
    return sizes


def test_a_group_grows_with_its_queue_and_shrinks_long_after(account: Account) -> None:
    """After 3 minutes above the target, by as much as it is above; after 15 below 90 % of it, when all are warm."""
    account.wait(120)  # the first nodes are warm
    track(account)
    assert load(account, 190, 3) == [2, 2, 4]
    assert load(account, 190, 1) == [4]  # those that warm up are on their way
    assert load(account, 95, 20)[-1] == 4  # a little below the target is no reason
    sizes = load(account, 40, 15)
    assert sizes == [4] * 14 + [2]


def test_a_group_stays_within_its_bounds(account: Account) -> None:
    """However long the queue is."""
    account.wait(120)
    track(account)
    assert load(account, 5000, 3)[-1] == 8


@pytest.mark.parametrize("why", ["DisableScaleIn", "no data", "nodes warm up"])
def test_a_group_does_not_shrink(account: Account, why: str) -> None:
    """Where it was told not to, where nothing is known, and while it still grows."""
    track(account, **({"DisableScaleIn": True} if why == "DisableScaleIn" else {}))
    if why == "no data":
        for _ in range(20):
            minute(account)
        assert len(account.states()) == 2
        return
    account.wait(120)
    load(account, 1, 14)
    if why == "nodes warm up":
        account.client("autoscaling").set_desired_capacity(AutoScalingGroupName="nodes", DesiredCapacity=3)
    sizes = load(account, 1, 1)
    assert sizes == ([3] if why == "nodes warm up" else [2])


def test_minutes_may_pass_faster(account: Account) -> None:
    """At 10 times the speed 3 minutes are 18 s, and a report a minute old still counts, as nodes report no oftener."""
    account.wait(120)
    track(account)
    DESK.clock.set_speed(10)
    put(account, "QueueMilliseconds", 200, {"Group": "nodes"})
    for _ in range(3):
        minute(account)
    assert account.time[0] - 1_800_000_120 == 18
    assert len(account.states()) == 4
