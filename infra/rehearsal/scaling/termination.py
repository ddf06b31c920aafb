"""Which node goes when a group shrinks: AWS's termination policies. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What the choice looks at."""

    id: str
    """The instance."""
    zone: str
    """Where it is."""
    launched: float
    """Seconds since 1970."""
    template: tuple[str, int]
    """Template and version; an empty name is a launch configuration."""
    protected: bool
    """Whether it must not go."""


def _oldest_template(found: Sequence[Candidate]) -> list[Candidate]:
    oldest = min(one.template[1] for one in found)
    return [one for one in found if one.template[1] == oldest]


def _oldest(found: Sequence[Candidate]) -> list[Candidate]:
    return [min(found, key=lambda one: (one.launched, one.id))]


def _newest(found: Sequence[Candidate]) -> list[Candidate]:
    return [max(found, key=lambda one: (one.launched, one.id))]


def _default(found: Sequence[Candidate]) -> list[Candidate]:
    """Oldest template, then the one nearest to a full hour: by the second billed, that is any; here the oldest."""
    return _oldest(_oldest_template(found))


POLICIES: Mapping[str, Callable[[Sequence[Candidate]], list[Candidate]]] = {
    "Default": _default,
    "OldestInstance": _oldest,
    "NewestInstance": _newest,
    "OldestLaunchTemplate": _oldest_template,
    "ClosestToNextInstanceHour": _oldest,
}
"""Those that choose; AllocationStrategy and OldestLaunchConfiguration leave all, as there is nothing to tell by."""


def chosen(candidates: Sequence[Candidate], count: int, policies: Sequence[str]) -> list[str]:
    """Return the ids of the nodes to go: fewer than asked for where the others are protected.

    Args:
        candidates: all living nodes of a group.
        count: how many shall go.
        policies: the group's, in order.
    """
    left, out = list(candidates), []
    for _ in range(count):
        free = [one for one in left if not one.protected]
        if not free:
            break
        crowd = Counter(one.zone for one in left)
        most = max(crowd[one.zone] for one in free)  # zones are kept even first
        found = [one for one in free if crowd[one.zone] == most]
        for policy in policies:
            found = POLICIES.get(policy, list)(found)
        goes = min(found, key=lambda one: (one.launched, one.id))
        left.remove(goes)
        out.append(goes.id)
    return out
