"""A run's figures: what they say of steps, restarts and the last stages, and how CloudWatch gets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from model_code import store
from model_code.cloud_metrics import EVERY_SECONDS, RunMetrics, figures
from tests.training_group import REGION, emulated


def row(step: int, loss: float = 1.0, speed: float = 640.0) -> dict[str, Any]:
    """Return a row of a training at 10 steps of 64 samples a second."""
    return {"step": step, "split": "train", "loss": loss, "learning_rate": 0.1, "samples_per_s": speed}


def test_an_undisturbed_minute_is_all_good() -> None:
    """600 steps at 10 a second are 60 seconds."""
    found = figures([row(300), row(900, 0.5)], 0, before=300, seconds=60, global_batch=64)
    assert (found.step, found.steps_per_second, found.loss, found.goodput) == (900, 10.0, 0.5, 100.0)


def test_what_a_restart_costs_is_not_good() -> None:
    """Half the minute was waited; and after a fall back to a checkpoint nothing was gained, nor less than that."""
    rows = [row(300), row(600)]
    assert figures(rows, 0, before=300, seconds=60, global_batch=64).goodput == 50.0
    back = figures([row(200)], 0, before=300, seconds=60, global_batch=64)
    assert (back.step, back.steps_per_second, back.goodput) == (200, 0.0, 0.0)


def test_before_the_first_row_there_is_a_step_and_no_loss() -> None:
    """While data are prepared."""
    found = figures([], 0, before=0, seconds=60, global_batch=64)
    assert (found.step, found.loss, found.goodput) == (0, None, 0.0)


def test_each_candidate_counts_as_a_step_more() -> None:
    """So that a run which is being compressed is not taken for one that stands still."""
    assert figures([row(900)], 3, before=900, seconds=60, global_batch=64).step == 903


def test_a_measurement_is_no_training_loss() -> None:
    """The newest row may be a validation's."""
    rows = [row(900, 0.5), {"step": 900, "split": "validation", "accuracy": 0.9}]
    assert figures(rows, 0, before=0, seconds=60, global_batch=64).loss == 0.5


def test_they_are_put_once_a_minute_under_the_runs_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time without goodput, which needs a past."""
    run = tmp_path.as_uri()
    with emulated(monkeypatch):
        client = boto3.client("cloudwatch", REGION)
        metrics = RunMetrics(client, "Skylift/dev", run, "run-1")
        store.write(store.join(run, "metrics.jsonl"), json.dumps(row(100)).encode())
        assert metrics.due(0.0)
        metrics.put(0.0, 64)
        assert {one["MetricName"] for one in client.list_metrics(Namespace="Skylift/dev")["Metrics"]} == {
            *("Step", "StepsPerSecond", "Loss")
        }
        assert not metrics.due(EVERY_SECONDS - 1)
        assert metrics.due(EVERY_SECONDS)
        store.write(store.join(run, "metrics.jsonl"), json.dumps(row(400)).encode())
        found = metrics.put(EVERY_SECONDS, 64)
        assert (found.step, found.steps_per_second, found.goodput) == (400, 5.0, 50.0)
        listed = client.list_metrics(Namespace="Skylift/dev")["Metrics"]
    assert {one["MetricName"] for one in listed} == {"Step", "StepsPerSecond", "Loss", "Goodput"}
    assert all(one["Dimensions"] == [{"Name": "Run", "Value": "run-1"}] for one in listed)
