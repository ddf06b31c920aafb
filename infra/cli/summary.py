"""The figures of a finished pipeline: one JSON object for programs, one table for people. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.table import Table

from infra.cli.inference import Answer

SCORE_TOLERANCE = 1e-3
"""Largest difference of two scores that still counts as the same answer: another batch, another rounding."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a request should be answered with."""

    answer: dict[str, Any]
    """The release's own answer, computed without a server."""
    truth: str | None
    """The right label; None for language models."""


def agrees(answer: dict[str, Any], offline: dict[str, Any]) -> bool:
    """Tell whether a served answer is the release's own one: same label or text, same score up to rounding."""
    if "label" in offline:
        close = abs(float(answer.get("score", math.inf)) - float(offline["score"])) <= SCORE_TOLERANCE
        return answer.get("label") == offline["label"] and close
    return answer == offline


def serving_figures(
    answers: Sequence[Answer], expected: Sequence[Expected], seconds: float, workers: int
) -> dict[str, Any]:
    """Return the `serving` part of the result.

    Args:
        answers: what the server said, in the requests' order.
        expected: what it should have said, in the same order.
        seconds: wall time of all requests.
        workers: TorchServe workers that served.
    """
    good = [a.status == 200 for a in answers]
    latencies = sorted(a.milliseconds for a in answers)
    pairs = list(zip(answers, expected, strict=True))
    classified = all(e.truth is not None for e in expected)
    correct = sum(ok and a.body.get("label") == e.truth for ok, (a, e) in zip(good, pairs, strict=True))
    return {
        "requests": len(answers),
        "failed": len(answers) - sum(good),
        "agreeing": sum(ok and agrees(a.body, e.answer) for ok, (a, e) in zip(good, pairs, strict=True)),
        "correct": correct if classified else None,
        "accuracy": correct / len(answers) if classified else None,
        "p50_ms": median(latencies),
        "p99_ms": latencies[math.ceil(0.99 * len(latencies)) - 1],
        "requests_per_s": len(answers) / seconds,
        "workers": workers,
    }


def pipeline_result(
    train: dict[str, Any], compressed: dict[str, Any], published: dict[str, Any], serving: dict[str, Any]
) -> dict[str, Any]:
    """Return the object that `skylift pipeline --json` prints."""
    chosen = next(c for c in compressed["candidates"] if c["name"] == compressed["chosen"])
    base = compressed["baseline"]
    kept = ("name", "metric", "size_bytes", "latency_ms_batch1", "passed")
    return {
        "run_id": train["run_id"],
        "world_size": train["world_size"],
        "train": {key: train[key] for key in ("metric_name", "metric", "steps", "seconds")},
        "candidates": [{key: candidate[key] for key in kept} for candidate in compressed["candidates"]],
        "release": {
            "name": published["name"],
            "version": published["version"],
            "uri": published["uri"],
            "candidate": chosen["name"],
            "metric": chosen["metric"],
            "baseline_metric": base["metric"],
            "size_bytes": chosen["size_bytes"],
            "baseline_size_bytes": base["size_bytes"],
            "latency_ms_batch1": chosen["latency_ms_batch1"],
            "baseline_latency_ms_batch1": base["latency_ms_batch1"],
            "speedup": base["latency_ms_batch1"] / chosen["latency_ms_batch1"],
        },
        "serving": serving,
    }


def closing_table(result: dict[str, Any]) -> Table:
    """Return the table that ends `skylift pipeline`."""
    release, serving = result["release"], result["serving"]
    table = Table(
        title=f"{release['name']} {release['version']} ({release['candidate']})", title_justify="left"
    )
    for column, justify in (("", "left"), ("uncompressed", "right"), ("released", "right"), ("", "right")):
        table.add_column(column, justify="right" if justify == "right" else "left")
    metric = result["train"]["metric_name"]
    better = release["metric"] / release["baseline_metric"] if release["baseline_metric"] else math.nan
    table.add_row(
        metric.replace("_", " "), number(metric, release["baseline_metric"]), number(metric, release["metric"]),
        f"{better:.1%} of it",
    )  # fmt: skip
    table.add_row(
        "archive size", megabytes(release["baseline_size_bytes"]), megabytes(release["size_bytes"]),
        f"{release['baseline_size_bytes'] / release['size_bytes']:.1f}x smaller",
    )  # fmt: skip
    table.add_row(
        "latency, 1 sample, 1 thread", f"{release['baseline_latency_ms_batch1']:.2f} ms",
        f"{release['latency_ms_batch1']:.2f} ms", f"{release['speedup']:.1f}x faster",
    )  # fmt: skip
    table.add_section()
    accuracy = serving["accuracy"]
    table.add_row("served accuracy", "", "-" if accuracy is None else number("accuracy", accuracy), "")
    table.add_row(
        "served = offline",
        "",
        f"{serving['agreeing']} of {serving['requests']}",
        f"{serving['failed']} failed",
    )
    table.add_row("requests/s", "", f"{serving['requests_per_s']:.0f}", f"{serving['workers']} workers")
    table.add_row("p50 / p99", "", f"{serving['p50_ms']:.1f} / {serving['p99_ms']:.1f} ms", "")
    return table


def number(metric_name: str, value: float) -> str:
    """Return a metric as people read it: a share in per cent, anything else with three digits."""
    return f"{value:.2%}" if metric_name == "accuracy" else f"{value:.3f}"


def megabytes(size: float) -> str:
    """Return bytes as MB (10^6)."""
    return f"{size / 1e6:.2f} MB"
