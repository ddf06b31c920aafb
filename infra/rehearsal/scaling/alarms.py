"""CloudWatch's alarms, judged by the data that nodes and balancer report, and what they set off."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from moto.cloudwatch.models import Alarm, CloudWatchBackend, MetricDataQuery, cloudwatch_backends
from moto.sns.models import sns_backends

from infra.rehearsal.scaling import policies
from infra.rehearsal.scaling.clock import Clock
from infra.rehearsal.scaling.desk import Desk
from infra.rehearsal.scaling.judge import State, judged
from infra.rehearsal.scaling.metric_math import Series, UnknownMathError, evaluate
from infra.rehearsal.scaling.metrics import periods, series

EARLIER = 5
"""Periods before those that count: a difference needs one of them."""


def judge(desk: Desk) -> None:
    """Judge every alarm of the account once, and do what those say that have changed."""
    for regions in list(cloudwatch_backends.values()):
        for backend in list(regions.values()):
            for alarm in list(backend.alarms.values()):
                if alarm.rule is None:  # one made of other alarms is not judged: the program has none
                    _judge(backend, alarm, desk)


def _judge(backend: CloudWatchBackend, alarm: Alarm, desk: Desk) -> None:
    before: State = alarm.state_value  # type: ignore[assignment]
    try:
        state = state_of(backend, alarm, desk)
    except UnknownMathError as error:
        if alarm.state_reason != str(error):
            alarm.state_reason = str(error)
            desk.tell("refused", f"alarm {alarm.name} cannot be judged: {error}", alarm=alarm.name)
        return
    if state != before:
        reason = (
            f"{alarm.threshold:g} was crossed"
            if state == "ALARM"
            else "no more"
            if state == "OK"
            else "no data"
        )
        alarm.update_state(reason, "{}", state)
        desk.tell(
            "alarm", f"alarm {alarm.name}: {before} -> {state}", alarm=alarm.name, state=state, before=before
        )
        _act(alarm, before, state, desk)
    elif state == "ALARM" and alarm.actions_enabled:
        for (
            arn
        ) in alarm.alarm_actions:  # CloudWatch repeats these every minute, and no others; the cooldown counts
            if ":autoscaling:" in arn:
                policies.run(arn, f"alarm {alarm.name}", desk)


def state_of(backend: CloudWatchBackend, alarm: Alarm, desk: Desk) -> State:
    """Return the state that an alarm is to have.

    Raises:
        UnknownMathError: its expression has what `metric_math` does not know.
    """
    count = int(alarm.evaluation_periods)
    length = length_of(alarm)
    clock = clock_of(alarm, desk)
    wanted = periods(clock, length, count + EARLIER)
    values = values_of(backend, alarm, clock, wanted, length)
    return judged(
        values,
        wanted[-count:],
        comparison=alarm.comparison_operator,
        threshold=float(alarm.threshold),
        datapoints=int(alarm.datapoints_to_alarm or count),
        missing=alarm.treat_missing_data or "missing",
        before=alarm.state_value,  # type: ignore[arg-type]
    )


def clock_of(alarm: Alarm, desk: Desk) -> Clock:
    """Return the time by which an alarm counts: ours where it changes a group's size.

    The dead man's switch waits for what nodes really do, a start and a step, and that goes no faster.
    """
    scales = any(":autoscaling:" in arn for arn in alarm.alarm_actions or [])
    return Clock(now=desk.now) if scales else desk.clock


def length_of(alarm: Alarm) -> int:
    """Return the seconds of an alarm's periods."""
    given = [one.metric_stat.period for one in alarm.metric_data_queries if one.metric_stat]
    given += [one.period for one in alarm.metric_data_queries if one.period]
    return int(next((one for one in given if one), alarm.period or 60))


def values_of(
    backend: CloudWatchBackend, alarm: Alarm, clock: Clock, wanted: Sequence[int], length: int
) -> Series:
    """Return what an alarm compares, by period."""

    def data(namespace: str, name: str, dimensions: Mapping[str, str], stat: str) -> Series:
        return series(
            backend,
            clock,
            namespace=namespace,
            name=name,
            dimensions=dimensions,
            stat=stat,
            length=length,
            wanted=wanted,
        )

    if not alarm.metric_data_queries:
        named = {str(one.name): str(one.value) for one in alarm.dimensions}
        return data(
            alarm.namespace, alarm.metric_name, named, alarm.statistic or str(alarm.extended_statistic)
        )
    metrics: dict[str, Series] = {}
    for query in alarm.metric_data_queries:
        if found := query.metric_stat:
            named = {str(one.name): str(one.value) for one in found.metric.dimensions}
            metrics[query.id] = data(found.metric.namespace, found.metric.metric_name, named, found.stat)
    for query in alarm.metric_data_queries:
        if query.expression:
            metrics[query.id] = evaluate(query.expression, metrics, wanted)
    return metrics[_returned(alarm.metric_data_queries).id]


def _returned(queries: Sequence[MetricDataQuery]) -> MetricDataQuery:
    """Return the one query whose value is judged."""
    return next((one for one in queries if str(one.return_data).lower() == "true"), queries[-1])


def _act(alarm: Alarm, before: State, state: State, desk: Desk) -> None:
    if not alarm.actions_enabled:
        return
    actions = {
        "ALARM": alarm.alarm_actions,
        "OK": alarm.ok_actions,
        "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
    }[state]
    for arn in actions or []:
        if ":autoscaling:" in arn:
            policies.run(arn, f"alarm {alarm.name}", desk)
        elif ":sns:" in arn:
            _publish(arn, alarm, before, state, desk)


def _publish(arn: str, alarm: Alarm, before: State, state: State, desk: Desk) -> None:
    """Say it to a topic, in the words of CloudWatch's own messages."""
    _, _, _, region, account, _ = arn.split(":", 5)
    topic = sns_backends[account][region].topics.get(arn)
    if topic is None:
        desk.tell("refused", f"alarm {alarm.name} speaks to {arn}, which is not there", alarm=alarm.name)
        return
    subject = f'{state}: "{alarm.name}" in {region}'
    message = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": account,
        "NewStateValue": state,
        "OldStateValue": before,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": datetime.fromtimestamp(desk.now(), UTC).isoformat(timespec="milliseconds"),
        "AlarmArn": alarm.alarm_arn,
    }
    topic.publish(json.dumps(message), subject=subject[:100])
    desk.tell("message", subject, alarm=alarm.name, topic=arn, state=state, text=alarm.description)
