"""The closing figures: what counts as agreeing, which percentile is p99, what the JSON object holds."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from infra.cli.inference import Answer
from infra.cli.summary import Expected, agrees, closing_table, pipeline_result, serving_figures

TRAIN = {
    "run_id": "r",
    "world_size": 2,
    "metric_name": "accuracy",
    "metric": 0.99,
    "steps": 100,
    "seconds": 9.0,
    "x": 1,
}
BASE = {"name": "baseline", "metric": 0.99, "size_bytes": 4_000_000, "latency_ms_batch1": 2.0}
CANDIDATE = {
    "name": "prune-50",
    "metric": 0.985,
    "size_bytes": 800_000,
    "latency_ms_batch1": 0.5,
    "passed": True,
}
COMPRESSED = {"baseline": BASE, "candidates": [{**CANDIDATE, "ratio": 0.995}], "chosen": "prune-50"}
PUBLISHED = {"name": "m", "version": "v", "uri": "/m/v", "counter": 1}


def answers(*bodies: dict[str, Any], status: int = 200) -> list[Answer]:
    """Return answers that took 1, 2, 3 … ms."""
    return [Answer(status=status, body=body, milliseconds=float(n)) for n, body in enumerate(bodies, 1)]


@pytest.mark.parametrize(
    ("served", "offline", "expected"),
    [
        ({"label": "3", "score": 0.9}, {"label": "3", "score": 0.9005}, True),
        ({"label": "3", "score": 0.9}, {"label": "3", "score": 0.902}, False),
        ({"label": "2", "score": 0.9}, {"label": "3", "score": 0.9}, False),
        ({"error": "x"}, {"label": "3", "score": 0.9}, False),
        ({"text": "a", "tokens": 1}, {"text": "a", "tokens": 1}, True),
        ({"text": "b", "tokens": 1}, {"text": "a", "tokens": 1}, False),
    ],
)
def test_agreeing_is_the_same_answer_up_to_rounding(
    served: dict[str, Any], offline: dict[str, Any], *, expected: bool
) -> None:
    """Labels and texts must be equal, scores within a thousandth."""
    assert agrees(served, offline) is expected


def test_failed_and_wrong_answers_are_counted_apart() -> None:
    """A wrong answer that agrees with the release is correct serving; a 503 is a failure even with a right body."""
    right, wrong = {"label": "1", "score": 1.0}, {"label": "2", "score": 1.0}
    given = [*answers(right, wrong), *answers(right, status=503)]
    expected = [Expected(answer=a, truth="1") for a in (right, wrong, right)]
    figures = serving_figures(given, expected, 0.5, 2)
    assert (figures["requests"], figures["failed"], figures["agreeing"], figures["correct"]) == (3, 1, 2, 1)
    assert figures["accuracy"] == pytest.approx(1 / 3)
    assert figures["requests_per_s"] == 6


def test_percentiles_are_of_the_answers() -> None:
    """p50 is the median, p99 the smallest latency that 99 % stay within."""
    figures = serving_figures(
        answers(*[{"text": "a"}] * 200), [Expected(answer={"text": "a"}, truth=None)] * 200, 1.0, 2
    )
    assert (figures["p50_ms"], figures["p99_ms"], figures["accuracy"], figures["correct"]) == (
        100.5,
        198,
        None,
        None,
    )


def test_the_result_has_what_programs_are_promised() -> None:
    """Every promised key is there, with the right figures, and nothing internal leaks in."""
    serving = serving_figures(answers({"label": "1", "score": 1.0}), [Expected(answer={}, truth="1")], 1.0, 2)
    result = pipeline_result(TRAIN, COMPRESSED, PUBLISHED, serving)
    assert (result["run_id"], result["world_size"]) == ("r", 2)
    assert result["train"] == {"metric_name": "accuracy", "metric": 0.99, "steps": 100, "seconds": 9.0}
    assert result["candidates"] == [CANDIDATE]
    assert result["release"]["speedup"] == 4
    assert (result["release"]["baseline_size_bytes"], result["release"]["size_bytes"]) == (4_000_000, 800_000)


def test_the_table_shows_both_sides() -> None:
    """Quality, size and latency stand before and after, served figures below."""
    serving = serving_figures(answers({"label": "1", "score": 1.0}), [Expected(answer={}, truth="1")], 1.0, 2)
    console = Console(file=io.StringIO(), width=120)
    console.print(closing_table(pipeline_result(TRAIN, COMPRESSED, PUBLISHED, serving)))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for expected in (
        "99.00%",
        "98.50%",
        "4.00 MB",
        "0.80 MB",
        "5.0x smaller",
        "4.0x faster",
        "100.00%",
        "2 workers",
    ):
        assert expected in text
