"""What this node refused to serve, and why: said in the log once, in /ready and in the metrics as long as it holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from serve_config.errors import ServeFailedError
from serve_config.processes import log

POINTER = "current.json"
"""Named in place of a version where the pointer itself is refused: what it says is not to be trusted."""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """One refusal."""

    version: str
    """The release, or `current.json`."""
    kind: str
    """One word of `ServeFailedError.reason`."""
    reason: str
    """The whole line."""


class Refusals:
    """The refusal that holds, and how many there were."""

    def __init__(self) -> None:
        self.current: Refused | None = None
        """The one that holds: the pointer has not changed since."""
        self.counts: Counter[str] = Counter()
        """Of all, by kind."""

    def record(self, version: str, error: ServeFailedError, served: str) -> None:
        """Keep a refusal, and say it unless it is the same again."""
        refused = Refused(version=version, kind=error.reason, reason=str(error))
        if refused != self.current:
            self.current = refused
            self.counts[refused.kind] += 1
            log(f"refused {version} ({refused.kind}), {served} is served: {refused.reason}")

    def holds(self, version: str) -> bool:
        """Tell whether a version is refused now."""
        return self.current is not None and self.current.version == version

    def clear(self) -> None:
        """The pointer has changed: everything may be tried again."""
        self.current = None

    def clear_pointer(self) -> None:
        """The pointer could be read again, whether changed or not."""
        if self.holds(POINTER):
            self.current = None
