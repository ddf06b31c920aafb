"""When an alarm is raised: so many of its last periods beyond the threshold. Pure."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from infra.rehearsal.scaling.metric_math import Series

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


def judged(
    values: Series,
    periods: Sequence[int],
    *,
    comparison: str,
    threshold: float,
    datapoints: int,
    missing: str,
    before: State,
) -> State:
    """Return an alarm's state.

    AWS also looks at older data where some of the newest is missing; this does not.

    Args:
        values: by period.
        periods: those that count, ascending.
        comparison: as the API names it.
        threshold: what values are compared with.
        datapoints: how many periods must be beyond it.
        missing: what a period without data is: breaching, notBreaching, ignore (the alarm stays as it is where there
            are none at all) or missing.
        before: the state until now.
    """
    beyond = COMPARISONS[comparison]
    known = [values[period] for period in periods if period in values]
    gaps = len(periods) - len(known)
    bad = sum(beyond(value, threshold) for value in known)
    if missing == "breaching":
        bad += gaps
    elif not known and missing == "ignore":
        return before
    elif not known and missing != "notBreaching":
        return "INSUFFICIENT_DATA"
    return "ALARM" if bad >= datapoints else "OK"
