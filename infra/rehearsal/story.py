"""What happens in a rehearsal, as it happens: one JSON object a line.

Whoever sees something writes it; whoever shows something reads it.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

OPERATOR = "operator"
"""Where something happens that is on no node: the engine, the emulated account, the rehearsal itself."""
START = b'{ "at"'
"""How every line begins. Inside of a line it cannot stand: objects in it have no blank there, texts no bare quotes."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened."""

    at: float
    """When, in seconds since the epoch."""
    kind: str
    """`stage`, `node`, `loss`, `request`, `release`, `fault`, `alarm`, `denied`, `note` or `result`."""
    where: str
    """`operator`, `balancer`, or a node's instance id."""
    what: str
    """The same for people, in one line."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The same for programs; which ones there are depends on the kind."""


class Story:
    """Writes events to the end of a file. Any number of threads and processes may write to the same one."""

    def __init__(self, path: Path) -> None:
        """Write to a file; it and its folder are made where they are not there."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def tell(self, kind: str, what: str, /, *, where: str = OPERATOR, **facts: object) -> None:
        """Add an event. It is in the file when this returns.

        Args:
            kind: as in `Event.kind`.
            what: one line for people.
            where: as in `Event.where`.
            facts: what JSON can hold, and paths.
        """
        event = Event(at=time.time(), kind=kind, where=where, what=what, facts=facts)
        line = b"{ " + json.dumps(asdict(event), default=os.fspath).encode()[1:] + b"\n"
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.write(file, line)  # one call: the kernel puts it at the end as a whole, whoever else writes
        finally:
            os.close(file)


def read(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Return the events that were written since an earlier read, and where the next one shall begin.

    A last line without its end is left for the next read. Of a line that was cut by a full disk, what was written
    after the cut is read.

    Args:
        path: the file; no events where it is not there yet.
        offset: in bytes; what the earlier read returned.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            text = file.read()
    except FileNotFoundError:
        return [], offset
    whole = text[: text.rfind(b"\n") + 1]
    lines = (line[max(line.rfind(START), 0) :] for line in whole.splitlines())
    return [Event(**json.loads(line)) for line in lines if _is_whole(line)], offset + len(whole)


def _is_whole(line: bytes) -> bool:
    return line.startswith(START) and line.endswith(b"}}")
