"""What groups, alarms, policies and the load balancer say that they did not say before, as events. Pure."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.rehearsal.run_news import News

TOLD = ("terminating", "refresh", "resized", "message", "refused")
"""Kinds of entries of the scaling diary that are told as they are; machines tell themselves that they come and go."""
WINDOW = 5
"""Looks at the load balancer over which its requests a second are counted."""


@dataclass(kw_only=True)
class CloudNews:
    """What is known of the account."""

    denied: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """Who, action and resource -> how often it was refused."""
    newest: float = 0.0
    """When the newest refusal that was told happened."""
    pointers: dict[str, int] = field(default_factory=dict)
    """Model -> counter of its pointer."""
    counts: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=WINDOW))
    """Time and requests of the last looks at the load balancer."""
    failed: int = 0
    """Requests that had failed at the last one."""

    def of_scaling(self, entries: Sequence[Mapping[str, Any]]) -> Iterator[News]:
        """Return what the next entries of the scaling diary say."""
        for entry in entries:
            facts = dict(entry["facts"])
            if entry["kind"] == "alarm":
                yield News(kind="alarm", what=entry["what"], facts=facts)
            elif entry["kind"] in TOLD:
                yield News(kind="note", what=entry["what"], facts=facts)

    def of_denials(self, denials: Sequence[Mapping[str, Any]]) -> Iterator[News]:
        """Return the refusals that are new; the same one again is told once, however often a node tries."""
        for one in denials:
            if one["at"] <= self.newest:
                continue
            self.newest = one["at"]
            key = (one["who"], one["action"], one["resource"])
            self.denied[key] = self.denied.get(key, 0) + 1
            if self.denied[key] == 1:
                yield News(kind="denied", what=denial(one), facts=dict(one))

    def of_pointer(self, content: bytes) -> Iterator[News]:
        """Return what a new `current.json` says."""
        pointer = json.loads(content)["pointer"]
        name, counter = pointer["name"], pointer["counter"]
        if self.pointers.get(name) == counter:
            return
        self.pointers[name] = counter
        share = "" if pointer["percentage"] == 100 else f" for {pointer['percentage']} % of the nodes"
        what = f"{name} {pointer['version']} is to be served{share} (pointer {counter})"
        yield News(kind="release", what=what, facts=pointer)

    def of_balancer(self, at: float, stats: Mapping[str, Any]) -> Iterator[News]:
        """Return how many requests were answered since the last look, where there were any.

        Args:
            at: when it was asked, in seconds of any clock.
            stats: `requests` and `failed` since its start; perhaps `p50_ms`.
        """
        requests, failed = int(stats["requests"]), int(stats["failed"])
        before = self.counts[-1][1] if self.counts else 0
        news = requests != before or failed != self.failed
        self.counts.append((at, requests))
        self.failed = failed
        if not news:
            return
        (first, had), per_s = self.counts[0], 0.0
        if at > first:
            per_s = (requests - had) / (at - first)
        facts = {"answered": requests, "failed": failed, "per_s": round(per_s, 1)}
        if "p50_ms" in stats:
            facts["p50_ms"] = stats["p50_ms"]
        what = f"{requests} requests answered, {failed} failed, {per_s:.0f}/s"
        yield News(kind="request", what=what, where="balancer", facts=facts)


def denial(one: Mapping[str, Any]) -> str:
    """Return a refusal in one line."""
    on = f" on {one['resource']}" if one["resource"] else ""
    return f"{one['who']}: {one['action']}{on}, {one['why']}"
