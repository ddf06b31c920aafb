"""What many nodes ask of S3 and of AWS's APIs, from boot to leave: `uv run python -m tests.bench --only fleet`.

The real lookout, roster and questions to AWS, on a clock of their own; seconds are the protocol's, not this machine's.
"""

from __future__ import annotations

from typing import Any

from tests.bench.fleet_training import STEADY_SECONDS, measure_training

SIZES = (10, 30, 100, 300, 1000)


def measure(sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """Return the figures of training groups of some sizes."""
    return {"training": [measure_training(count) for count in sizes]}


def table(measured: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    found = measured["training"]
    rows = [
        "| training nodes, simulated | " + " | ".join(f"{one['nodes']:,}" for one in found) + " |",
        "|---" * (len(found) + 1) + "|",
    ]

    def row(name: str, *cells: str) -> None:
        rows.append(f"| {name} | " + " | ".join(cells) + " |")

    row("all boot within 10 s: until all train together, s", *(f"{one['boot_seconds']:.0f}" for one in found))
    row("API calls meanwhile, by all", *(f"{one['boot_api']:.0f}" for one in found))
    row("S3 requests meanwhile, a node", *(f"{one['boot_s3'] / one['nodes']:.1f}" for one in found))
    row("steady state: API calls a minute, by all", *(_a_minute(one["steady_api"]) for one in found))
    row("S3 requests a second, by all", *(f"{one['steady_s3'] / STEADY_SECONDS:.1f}" for one in found))
    row("bytes a second from S3, a node", *(_bytes_of_a_node(one) for one in found))
    row(
        "the leader vanishes: until all agree on the next, s",
        *(f"{one['leader_lost_seconds']:.0f}" for one in found),
    )
    row("the first third of the line vanishes, s", *(f"{one['third_lost_seconds']:.0f}" for one in found))
    row(
        "all leave within 5 s: S3 requests, a node",
        *(f"{one['leave_s3'] / one['nodes']:.1f}" for one in found),
    )
    row("changes that met another, in all of this", *(f"{_conflicts(one):.0f}" for one in found))
    return "\n".join(rows)


def _a_minute(calls: float) -> str:
    return f"{calls / STEADY_SECONDS * 60:.0f}"


def _bytes_of_a_node(one: dict[str, float]) -> str:
    return f"{one['steady_s3_bytes'] / STEADY_SECONDS / one['nodes']:.0f}"


def _conflicts(one: dict[str, float]) -> float:
    return sum(count for name, count in one.items() if name.endswith("_conflicts"))
