"""A release that was served while something happened: what is measured of each, and how it is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from infra.rehearsal.faults.fault import Seen
from infra.rehearsal.faults.load import Asked

OK = 200


@dataclass(frozen=True, kw_only=True)
class Served:
    """What was measured."""

    asked: Sequence[Asked]
    """All requests that ended from the harm on until all worked again."""
    begun: float
    """When the harm began, on the monotonic clock."""
    gone: float
    """When what was harmed was gone and known to be."""
    good: float
    """When the first request that was sent after that was answered rightly."""
    whole: float
    """When all was as before."""
    most: int = 0
    """Requests that can be in flight on what was harmed."""
    what: str = ""
    """What else was seen, for the table."""
    wrong: str = ""
    """What else was to be seen and was not."""

    @property
    def failed(self) -> list[Asked]:
        """Requests without their right answer."""
        return [one for one in self.asked if one.wrong]

    @property
    def false(self) -> list[Asked]:
        """Answers that claim to be good and are not the release's."""
        return [one for one in self.failed if one.status == OK]


def fails_nothing(found: Served) -> Seen:
    """Judge: every request gets its right answer."""
    return _seen(found, kept=not found.failed)


def fails_in_flight(found: Served) -> Seen:
    """Judge: nothing fails but what was in flight on what was killed."""
    late = [one for one in found.failed if one.begun > found.gone or one.ended < found.begun]
    return _seen(found, kept=not late and not found.false and len(found.failed) <= found.most)


def _seen(found: Served, *, kept: bool) -> Seen:
    kinds = Counter(one.wrong.partition(":")[0] for one in found.failed)
    why = f" ({', '.join(f'{count} {kind}' for kind, count in kinds.most_common(3))})" if kinds else ""
    said = f"{len(found.failed):,} of {len(found.asked):,} requests failed{why}"
    return Seen(
        kept=kept and bool(found.asked) and not found.wrong,
        what="; ".join(part for part in (said, found.what, found.wrong) if part),
        recovery_seconds=found.whole - found.begun,
    )
