"""What happened to groups, nodes and alarms, in order: the rehearsal's story is told from it."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal[
    "launched", "in-service", "terminating", "terminated", "refresh", "resized", "alarm", "message", "refused"
]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Something that happened."""

    at: float
    """Seconds since 1970."""
    kind: Kind
    """What kind of thing."""
    what: str
    """One line that a person reads."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The same for programs: `group`, `instance`, `alarm`, `state`, … as the kind has them."""


class Diary:
    """All entries; read while it is written."""

    def __init__(self) -> None:
        """Begin with none."""
        self._entries: list[Entry] = []
        self._lock = threading.Lock()

    def tell(self, at: float, kind: Kind, what: str, **facts: object) -> None:
        """Add an entry."""
        with self._lock:
            self._entries.append(Entry(at=at, kind=kind, what=what, facts=facts))

    def since(self, number: int = 0) -> list[dict[str, Any]]:
        """Return the entries from one of them on, the first being 0."""
        with self._lock:
            return [asdict(one) for one in self._entries[max(0, number) :]]
