"""The goodput's figures as Markdown. Pure."""

from __future__ import annotations

from typing import Any

PARTS = ("productive", "checkpoint", "redone", "restart", "boot")


def table(measured: dict[str, Any]) -> str:
    """Return where the time went, beside plain torchrun, and what clusters of some sizes would have."""
    names = {
        "here": f"killed {measured['kills']} times, once in {measured['mean_seconds']:.0f} s on average",
        "undisturbed": "the same steps undisturbed",
        "torchrun": "plain `torchrun --nnodes 1:2`, killed at the same moments",
    }
    columns = (
        "training on 2 hosts",
        "seconds",
        "steps that count",
        "a step, to undisturbed",
        "each, s",
        "goodput",
    )
    undisturbed = measured["undisturbed"]["wall"] / measured["undisturbed"]["steps"]
    rows = [
        "| " + " | ".join((*columns, *(f"{one}, s" for one in PARTS))) + " |",
        "|---" * (len(columns) + len(PARTS)) + "|",
    ]
    for key, name in names.items():
        one = measured[key]
        parts = " | ".join(f"{one[part]:.1f}" for part in PARTS)
        share = one["productive"] / one["wall"]
        each = one["productive"] / max(1, one["steps"])
        ratio = one["wall"] / max(1, one["steps"]) / undisturbed
        rows.append(
            f"| {name} | {one['wall']:.0f} | {one['steps']:,} | {ratio:.2f}x | {each:.3f} | {share:.1%} | {parts} |"
        )
    rows += [
        "",
        "| nodes, each failing once in 6,250 h | a failure every | best interval | goodput |",
        "|---|---|---|---|",
    ]
    for one in measured["real"]:
        rows.append(
            f"| {one['nodes']:,} | {one['mtbf_hours']:.1f} h | {one['interval_seconds'] / 60:.0f} min | "
            f"{one['goodput']:.2%} |"
        )
    return "\n".join(rows)
