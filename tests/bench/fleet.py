"""What many nodes ask of S3 and of AWS's APIs, from boot to leave: `uv run python -m tests.bench --only fleet`.

The real code of training and of serving nodes, on a clock of its own; seconds are the protocol's, not this machine's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.bench.fleet_serving_life import OPEN_SECONDS, SHARE, measure_serving
from tests.bench.fleet_serving_life import STEADY_SECONDS as SERVING_SECONDS
from tests.bench.fleet_training import STEADY_SECONDS, measure_training

SIZES = (10, 30, 100, 300, 1000)


def measure(sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """Return the figures of training and of serving groups of some sizes."""
    return {
        "training": [measure_training(count) for count in sizes],
        "serving": [measure_serving(count) for count in sizes],
    }


def table(measured: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    return f"{training_table(measured['training'])}\n\n{serving_table(measured['serving'])}"


def training_table(found: list[dict[str, float]]) -> str:
    """Return the figures of training groups as Markdown."""
    rows, row = _begun("training", found)
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


def serving_table(found: list[dict[str, float]]) -> str:
    """Return the figures of serving groups as Markdown."""
    rows, row = _begun("serving", found)

    def whole(name: str, key: str) -> None:
        row(name, *(f"{one[key]:,.0f}" for one in found))

    def each(name: str, key: str) -> None:
        row(name, *(f"{one[key] / one['nodes']:.1f}" for one in found))

    whole("all boot within 10 s: until all serve, s", "boot_seconds")
    each("API calls meanwhile, a node", "boot_api")
    each("S3 requests meanwhile, a node", "boot_s3")
    row(
        "steady state: API calls a minute, by all (CloudWatch takes them)",
        *(f"{one['steady_api'] / SERVING_SECONDS * 60:,.0f}" for one in found),
    )
    row("S3 requests a second, by all", *(f"{one['steady_s3'] / SERVING_SECONDS:.1f}" for one in found))
    whole("a new release for all: until all serve it, s", "release_seconds")
    each("S3 requests meanwhile, a node", "release_s3")
    whole("S3 requests in the busiest second, by all", "release_s3_peak")
    whole(f"a new release for {SHARE} %: until those serve it, s", "open_seconds")
    row(
        "most nodes that served it at once / may",
        *(f"{one['open_most']:.0f} / {one['open_share']:.0f}" for one in found),
    )
    whole(f"API calls about the group within {OPEN_SECONDS / 60:.0f} min, by all", "open_group")
    whole("instances in their answers, by all", "open_group_records")
    whole("such calls in the busiest second", "open_group_peak")
    whole("then for all: until all serve it, s", "promote_seconds")
    whole(f"a bad release for {SHARE} %: loads of it, by all", "worse_tried")
    whole("until all those have refused it, s", "worse_seconds")
    whole("a bad release for all: loads of it, by all", "bad_tried")
    whole("until all have refused it, the old one being served, s", "bad_seconds")
    whole("a third more nodes boot: until all serve, s", "more_seconds")
    whole("all leave within 5 s: until all are gone, s", "leave_seconds")
    row("API calls meanwhile, a node", *(f"{one['leave_api'] / one['leave_nodes']:.1f}" for one in found))
    whole("calls to the load balancer in the busiest second", "leave_balancer_peak")
    return "\n".join(rows)


def _begun(kind: str, found: list[dict[str, float]]) -> tuple[list[str], Callable[..., None]]:
    """Return a table's first rows, and what adds one."""
    rows = [
        f"| {kind} nodes, simulated | " + " | ".join(f"{one['nodes']:,.0f}" for one in found) + " |",
        "|---" * (len(found) + 1) + "|",
    ]

    def row(name: str, *cells: str) -> None:
        rows.append(f"| {name} | " + " | ".join(cells) + " |")

    return rows, row


def _a_minute(calls: float) -> str:
    return f"{calls / STEADY_SECONDS * 60:.0f}"


def _bytes_of_a_node(one: dict[str, float]) -> str:
    return f"{one['steady_s3_bytes'] / STEADY_SECONDS / one['nodes']:.0f}"


def _conflicts(one: dict[str, float]) -> float:
    return sum(count for name, count in one.items() if name.endswith("_conflicts"))
