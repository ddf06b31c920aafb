"""The table of faults as Markdown. Pure."""

from __future__ import annotations

from statistics import median
from typing import Any

BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"


def row(name: str, promise: str, seen: list[dict[str, Any]], broken: list[str]) -> dict[str, Any]:
    """Return what the table says of one fault.

    Args:
        name: what was injected.
        promise: what must hold.
        seen: a `Seen` as a dict for each injection that kept its promise.
        broken: the reason for each that did not.
    """
    seconds = [one["recovery_seconds"] for one in seen if one["recovery_seconds"] is not None]
    return {
        "name": name,
        "promise": promise,
        "kept": len(seen),
        "times": len(seen) + len(broken),
        "what": seen[-1]["what"] if seen else "",
        "broken": broken,
        "recovery": [min(seconds), median(seconds), max(seconds)] if seconds else None,
    }


def table(areas: dict[str, list[dict[str, Any]]]) -> str:
    """Return one table, an area after the other."""
    lines = [
        "| injected | promise | kept | seen (the last one) | recovery, s (min / median / max) |",
        "|---|---|---|---|---|",
    ]
    for area, rows in areas.items():
        lines.append(f"| **{area}** | | | | |")
        for one in rows:
            recovery = " / ".join(f"{x:.1f}" for x in one["recovery"]) if one["recovery"] else "-"
            what = one["what"] if not one["broken"] else f"{one['what']}; broken: {one['broken'][0]}"
            lines.append(
                f"| {one['name']} | {one['promise']} | {one['kept']} of {one['times']} | {what} | {recovery} |"
            )
    return "\n".join(lines)
