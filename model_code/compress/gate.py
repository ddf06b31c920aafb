"""The gate's rules, pure: what quality a candidate must keep, which passing one is cheapest, when to try again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

ADJUSTABLE = 1.02
"""A smaller network can come near the original's quality; a gate above this asks for a better one, and pruning less
or training longer will not give it."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured of one packaged network."""

    name: str
    """The candidate's name."""
    metric: float
    """Quality on the held-out split."""
    size_bytes: int
    """The archive's size."""
    latency_ms_batch1: float
    """Median time to answer one request, in milliseconds."""
    latency_ms_serving_batch: float
    """Median time to answer a serving batch, in milliseconds."""
    faithful: bool = True
    """The package answers as the network that it was made from."""
    lossless: bool = False
    """The same network in another runtime: kept in reserve, it makes nothing smaller."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the gate says to one candidate."""

    ratio: float
    """Share of the baseline's quality."""
    cost: float
    """Geometric mean of size and both latencies, relative to the baseline: 1 costs as much, smaller is cheaper."""
    passed: bool
    """It may be released."""
    reason: str
    """Why not, empty where it passed."""


def quality_ratio(metric: float, baseline: float, *, higher_is_better: bool) -> float:
    """Return the share of the baseline's quality that a metric keeps: above 1 it is better than the baseline."""
    kept, original = (metric, baseline) if higher_is_better else (baseline, metric)
    if original == 0:
        return 1.0 if kept == 0 else math.inf
    return kept / original


def cost(figures: Figures, baseline: Figures) -> float:
    """Return the geometric mean of size and latencies, relative to the baseline."""
    shares = (
        figures.size_bytes / baseline.size_bytes,
        figures.latency_ms_batch1 / baseline.latency_ms_batch1,
        figures.latency_ms_serving_batch / baseline.latency_ms_serving_batch,
    )
    return math.prod(shares) ** (1 / len(shares))


def judge(figures: Figures, baseline: Figures, required: float, *, higher_is_better: bool) -> Verdict:
    """Apply the rule: ratio >= required, and a package that is what it says it is."""
    ratio = quality_ratio(figures.metric, baseline.metric, higher_is_better=higher_is_better)
    reason = ""
    if not figures.faithful:
        reason = "the package answers differently from the network that it was made from"
    elif not ratio >= required:  # a metric that is not a number does not pass
        reason = f"keeps {ratio:.4f} of the quality, {required:.4f} is required"
    return Verdict(ratio=ratio, cost=cost(figures, baseline), passed=not reason, reason=reason)


def choose(verdicts: Sequence[tuple[str, Verdict]]) -> str | None:
    """Return the name of the cheapest candidate that passed, None where none did."""
    passed = [(verdict.cost, place, name) for place, (name, verdict) in enumerate(verdicts) if verdict.passed]
    return min(passed)[2] if passed else None


def is_impossible(required: float, baseline_metric: float, *, higher_is_better: bool) -> bool:
    """Tell whether even a perfect network (accuracy 1) would not pass. Bits per byte have no such bound."""
    return higher_is_better and quality_ratio(1.0, baseline_metric, higher_is_better=True) < required


def should_adjust(judged: Sequence[tuple[Figures, Verdict]], required: float) -> bool:
    """Tell whether another round is worth its time: nothing smaller passed yet, and more care could change that."""
    smaller = any(verdict.passed for figures, verdict in judged if not figures.lossless)
    return not smaller and required <= ADJUSTABLE
