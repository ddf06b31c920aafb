"""What the loop and moto's own threads share: clock, diary, a lock over groups, the bell that wakes the loop."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from infra.rehearsal.scaling.clock import Clock
from infra.rehearsal.scaling.diary import Diary, Kind


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where groups and alarms are managed from."""

    clock: Clock = field(default_factory=Clock)
    """What time it is."""
    diary: Diary = field(default_factory=Diary)
    """What happened."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held while groups are looked at or changed."""
    bell: threading.Event = field(default_factory=threading.Event)
    """Rung when there may be something to do."""
    machines: set[str] = field(default_factory=set)
    """Ids of the instances behind which something runs, as its runner says; none where nothing does."""

    def now(self) -> float:
        """Return the time, seconds since 1970."""
        return self.clock.now()

    def tell(self, kind: Kind, what: str, **facts: object) -> None:
        """Write into the diary what happens now."""
        self.diary.tell(self.clock.now(), kind, what, **facts)


DESK = Desk()
"""The process's own: moto's models are the process's too."""
