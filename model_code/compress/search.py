"""The rounds of the gate: build and judge candidates, adjust while nothing smaller passes, choose the cheapest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from model_code.compress.build import Builder
from model_code.compress.candidates import BASELINE, Candidate, plan
from model_code.compress.gate import Figures, Verdict, choose, is_impossible, judge, should_adjust
from model_code.config import CompressConfig

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What the search has to know of the network."""

    kind: str
    """`images`, `text` or `tokens`."""
    layers: int
    """Equal layers that the network is a stack of, 0 where it is none."""
    on_gpu: bool
    """It is served on a GPU."""
    higher_is_better: bool
    """Whether more of the metric is better."""
    sensitive: tuple[str, ...]
    """Layers that later rounds spare, for the record."""


@dataclass(kw_only=True)
class Outcome:
    """What was tried and what came of it."""

    baseline: dict[str, Any]
    """The uncompressed network, packed and measured like the others."""
    candidates: list[dict[str, Any]] = field(default_factory=list)
    """Every measured candidate with `ratio`, `cost`, `passed` and `reason`, in the order in which they were tried."""
    failed: list[dict[str, str]] = field(default_factory=list)
    """Candidates that a tool could not make, with its error."""
    adjustments: list[dict[str, Any]] = field(default_factory=list)
    """What later rounds changed, and why."""
    chosen: str | None = None
    """The cheapest candidate that passed."""

    def best_ratio(self) -> float:
        """Return the best share of the baseline's quality that any faithful candidate keeps, 0 without one."""
        ratios = [row["ratio"] for row in self.candidates if row["fidelity"]["faithful"]]
        return float(max(ratios, default=0.0))


def search(builder: Builder, config: CompressConfig, situation: Situation, say: Say) -> Outcome:
    """Build and judge candidates until one that makes the network smaller passes, or the rounds are used up.

    Args:
        builder: makes and measures a candidate.
        config: methods, rule and number of rounds.
        situation: what the network is.
        say: told one line for each candidate.
    """
    required, higher = config.required_ratio, situation.higher_is_better
    baseline = builder.measured(BASELINE, "baseline")
    outcome = Outcome(baseline=baseline)
    say(_line(baseline, ""))
    hopeless = is_impossible(required, baseline["metric"], higher_is_better=higher)
    judged: list[tuple[Figures, Verdict]] = []
    for round_number in range(1 if hopeless else 1 + config.rounds):
        if round_number:
            if not should_adjust(judged, required):
                break
            outcome.adjustments.append(_adjustment(round_number, outcome, situation))
            say(f"round {round_number}: {outcome.adjustments[-1]['why']}; {outcome.adjustments[-1]['what']}")
        for candidate in plan(
            config,
            kind=situation.kind,
            layers=situation.layers,
            on_gpu=situation.on_gpu,
            round_number=round_number,
        ):
            known = {row["name"] for row in [*outcome.candidates, *outcome.failed]}
            if candidate.name in known or (hopeless and not candidate.lossless):
                continue
            row = _try(builder, candidate, outcome, say)
            if row is None:
                continue
            figures = _figures(row)
            verdict = judge(figures, _figures(baseline), required, higher_is_better=higher)
            judged.append((figures, verdict))
            outcome.candidates.append({**row, **vars(verdict), "round": round_number})
            say(_line(row, verdict.reason or f"passes, cost {verdict.cost:.2f}"))
    outcome.chosen = choose([(figures.name, verdict) for figures, verdict in judged])
    return outcome


def _try(builder: Builder, candidate: Candidate, outcome: Outcome, say: Say) -> dict[str, Any] | None:
    try:
        return builder.measured(candidate)
    except Exception as error:  # noqa: BLE001 - exporters and quantizers raise anything at a network they cannot take
        first = (str(error).strip().splitlines() or [""])[0]
        outcome.failed.append({"name": candidate.name, "error": f"{type(error).__name__}: {first}"[:500]})
        say(f"{candidate.name}: could not be made ({outcome.failed[-1]['error'][:200]})")
        return None


def _figures(row: dict[str, Any]) -> Figures:
    return Figures(
        name=row["name"],
        metric=row["metric"],
        size_bytes=row["size_bytes"],
        latency_ms_batch1=row["latency_ms_batch1"],
        latency_ms_serving_batch=row["latency_ms_serving_batch"],
        faithful=row["fidelity"]["faithful"],
        lossless=row["lossless"],
    )


def _adjustment(round_number: int, outcome: Outcome, situation: Situation) -> dict[str, Any]:
    return {
        "round": round_number,
        "why": f"no candidate that makes the network smaller passed (best ratio {outcome.best_ratio():.4f})",
        "what": "prune less, spare the sensitive layers, train longer",
        "spared": list(situation.sensitive),
    }


def _line(row: dict[str, Any], note: str) -> str:
    return (
        f"{row['name']}: {row['metric_name']} {row['metric']:.4f}, {row['size_bytes'] / 1e6:.2f} MB, "
        f"{row['latency_ms_batch1']:.2f} ms, batch {row['latency_ms_serving_batch']:.2f} ms"
        f"{f'; {note}' if note else ''}"
    )
