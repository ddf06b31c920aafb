"""Metric math gives what CloudWatch gives, for every expression that the program's alarms have."""

from __future__ import annotations

import pytest

from infra.alarms import balancer_alarms, node_alarms
from infra.dead_man import stalled
from infra.rehearsal.scaling.judge import judged
from infra.rehearsal.scaling.metric_math import UnknownMathError, evaluate
from infra.rehearsal.scaling.metrics import percentile

PERIODS = (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("a + b", {1: 11, 2: 22}),
        ("100 * a / (a + b)", {1: pytest.approx(100 / 11), 2: pytest.approx(200 / 22)}),
        ("a / zero", {}),
        ("FILL(a, 0)", {1: 1, 2: 2, 3: 0, 4: 4}),
        ("FILL(b, 7) - 1", {1: 9, 2: 19, 3: 6, 4: 6}),
        ("DIFF(a)", {2: 1, 4: 2}),
        ("FILL(DIFF(a), 0)", {1: 0, 2: 1, 3: 0, 4: 2}),
        ("IF(a > 1, b, 5)", {1: 5, 2: 20}),
        ("IF(a > 1 AND b > 15, 1, 0)", {1: 0, 2: 1}),
        ("a > 3 || b == 10", {1: 1, 2: 0}),
        ("-a", {1: -1, 2: -2, 4: -4}),
        ("2 ** 3", dict.fromkeys(PERIODS, 8)),
        ("FILL(nothing, 3)", dict.fromkeys(PERIODS, 3)),
    ],
)
def test_expressions(expression: str, value: dict[int, float]) -> None:
    """A period without data stays out, unless it is filled; nothing is divided by zero."""
    metrics = {"a": {1: 1.0, 2: 2.0, 4: 4.0}, "b": {1: 10.0, 2: 20.0}, "zero": {1: 0.0}, "nothing": {}}
    assert evaluate(expression, metrics, PERIODS) == value


@pytest.mark.parametrize(
    "expression", ["c + 1", "ANOMALY_DETECTION_BAND(a)", "a.b", "a +", "'x'", "FILL(a, REPEAT)", "a < 1 < 2"]
)
def test_what_is_not_known_is_refused(expression: str) -> None:
    """By name, and never executed."""
    with pytest.raises(UnknownMathError, match="metric math must be"):
        evaluate(expression, {"a": {1: 1.0}}, PERIODS)


def test_every_alarm_of_the_program_can_be_judged() -> None:
    """A new word in an alarm's expression is found here."""
    alarms = [
        *balancer_alarms("lb", "tg"),
        *node_alarms("skylift", "train", "serve", 100),
        stalled("train", "run", "skylift", 30),
    ]
    judgeable = [one for one in alarms if one.expression]
    assert len(judgeable) == 3
    for alarm in judgeable:
        data = {word: {1: 1.0, 2: 2.0} for word in alarm.metrics}
        assert 2 in evaluate(alarm.expression, data, (1, 2))


@pytest.mark.parametrize(
    ("values", "missing", "state"),
    [
        ({1: 9, 2: 9, 3: 9}, "notBreaching", "ALARM"),
        ({1: 9, 2: 9, 3: 0}, "notBreaching", "OK"),
        ({1: 9, 3: 9}, "notBreaching", "OK"),
        ({1: 9, 3: 9}, "breaching", "ALARM"),
        ({}, "notBreaching", "OK"),
        ({}, "breaching", "ALARM"),
        ({}, "missing", "INSUFFICIENT_DATA"),
        ({}, "ignore", "ALARM"),
    ],
)
def test_an_alarm_is_raised_by_its_last_periods(values: dict[int, float], missing: str, state: str) -> None:
    """All of three beyond 5; what a gap is, the alarm says."""
    found = judged(
        values,
        (1, 2, 3),
        comparison="GreaterThanThreshold",
        threshold=5,
        datapoints=3,
        missing=missing,
        before="ALARM",
    )
    assert found == state


def test_percentiles() -> None:
    """Between two values by their distance."""
    assert percentile([float(number) for number in range(101)], 99) == 99
    assert percentile([0.0, 10.0], 50) == 5
    assert percentile([3.0], 99) == 3
