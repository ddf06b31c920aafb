"""A run's figures in CloudWatch: step, speed, loss and goodput, put by the leader once a minute.

Goodput is the share of the time that went into steps which count: what restarts, waiting and repeated steps cost is
the rest (the term is Google's, for exactly this).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model_code import store
from model_code.metrics import read_rows

EVERY_SECONDS = 60.0
ALL_STEPS = 1 << 62


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One minute of a run."""

    step: int
    """Steps that count so far; in the last stages, each finished candidate counts as one more."""
    steps_per_second: float
    """Since the figures before."""
    loss: float | None
    """Mean training loss at the newest row; None before the first."""
    goodput: float
    """Per cent of the time since the figures before."""


def figures(
    rows: Sequence[dict[str, Any]], candidates: int, *, before: int, seconds: float, global_batch: int
) -> Figures:
    """Return what happened since the last figures.

    Args:
        rows: of `metrics.jsonl`.
        candidates: finished ones, in the run's folder.
        before: the step of the last figures.
        seconds: since then.
        global_batch: samples an optimizer step.
    """
    training = [row for row in rows if row.get("split") == "train"]
    step = max((row["step"] for row in rows), default=0) + candidates
    gained = max(0, step - before)
    fastest = max((row.get("samples_per_s", 0.0) for row in training), default=0.0) / max(1, global_batch)
    useful = gained / fastest / seconds if fastest and seconds and global_batch else 0.0
    return Figures(
        step=step,
        steps_per_second=gained / seconds if seconds else 0.0,
        loss=training[-1].get("loss") if training else None,
        goodput=100 * min(1.0, useful),
    )


class RunMetrics:
    """The figures of one run, as one node puts them."""

    def __init__(self, cloudwatch: Any, namespace: str, run: str, run_id: str) -> None:  # noqa: ANN401 - a botocore client
        """Take where to put them, and the run's URI and id."""
        self._cloudwatch, self._namespace, self._run, self._run_id = cloudwatch, namespace, run, run_id
        self._last: tuple[float, int] | None = None  # when, and which step

    def due(self, now: float) -> bool:
        """Tell whether the next figures are due.

        Args:
            now: seconds on a clock that only goes on.
        """
        return self._last is None or now - self._last[0] >= EVERY_SECONDS

    def put(self, now: float, global_batch: int) -> Figures:
        """Put the figures since the last ones."""
        rows = read_rows(self._run, ALL_STEPS)
        candidates = len(store.names(store.join(self._run, "candidates")))
        when, before = self._last or (now, ALL_STEPS)
        found = figures(rows, candidates, before=before, seconds=now - when, global_batch=global_batch)
        self._last = now, found.step
        values = {"Step": (found.step, "Count"), "StepsPerSecond": (found.steps_per_second, "Count/Second")}
        if before != ALL_STEPS:
            values["Goodput"] = (found.goodput, "Percent")
        if found.loss is not None:
            values["Loss"] = (found.loss, "None")
        self._cloudwatch.put_metric_data(
            Namespace=self._namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": "Run", "Value": self._run_id}],
                    "Value": value,
                    "Unit": unit,
                }
                for name, (value, unit) in values.items()
            ],
        )
        return found
