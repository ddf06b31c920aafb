"""`state.json`: how far a run has come. A run that is over stays over, whoever boots into it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from model_code import store
from model_code.errors import RunFailedError
from model_code.typed_json import build, parse

FILE = "state.json"
Stage = Literal["prepare", "training", "trained", "compressed", "released", "done", "refused", "failed"]
NEXT: dict[Stage, tuple[Stage, ...]] = {
    "prepare": ("training", "failed"),
    "training": ("trained", "failed"),
    "trained": ("compressed", "refused", "failed"),
    "compressed": ("released", "failed"),
    "released": ("done",),
    "done": (),
    "refused": (),
    "failed": (),
}
"""What may follow each stage."""


@dataclass(frozen=True, kw_only=True)
class RunState:
    """What `state.json` says."""

    stage: Stage = "prepare"
    """What is to be done next; `done`, `refused` (by the gate) and `failed` are final."""
    shards: str = ""
    """URI of the ready shards, once they are there."""
    global_batch: int = 0
    """Samples an optimizer step, once the config is resolved."""
    reason: str = ""
    """Why it was refused or failed, in one line."""
    version: str = ""
    """The release, once it is published."""
    changed: str = ""
    """When it came to this stage, UTC."""
    by: str = ""
    """Id of the node that brought it there."""

    @property
    def over(self) -> bool:
        """True: nothing is to be done any more."""
        return not NEXT[self.stage]


class StateFile:
    """The file of one run, seen from one node."""

    def __init__(self, run: str, node: str) -> None:
        """Take the run's URI and the id of the node that looks."""
        self._uri, self._node = store.join(run, FILE), node

    def read(self) -> RunState:
        """Return what it says; a run without one is to be prepared."""
        return self._read()[0]

    def move(self, stage: Stage, **facts: str | int) -> RunState:
        """Bring the run to a stage, by compare-and-swap; return what the file says now.

        Somebody else may have brought it there, or further, already: then nothing is written.

        Args:
            stage: where to.
            facts: fields that change with it.

        Raises:
            RunFailedError: the run is at an earlier stage that this one cannot follow.
        """
        while True:
            before, etag = self._read()
            if stage not in NEXT[before.stage]:
                if before.stage == stage or before.over or not _leads_to(before.stage, stage):
                    return before
                raise RunFailedError(f"{self._uri} says `{before.stage}`, which `{stage}` cannot follow")
            now = datetime.now(UTC).isoformat(timespec="seconds")
            after = replace(before, stage=stage, changed=now, by=self._node, **facts)  # type: ignore[arg-type]
            content = (json.dumps(asdict(after), indent=1) + "\n").encode()
            try:
                if etag:
                    store.replace(self._uri, content, etag)
                else:
                    store.create(self._uri, content)
            except store.ConflictError:
                continue
            return after

    def _read(self) -> tuple[RunState, str]:
        try:
            content, etag = store.read_with_etag(self._uri)
        except FileNotFoundError:
            return RunState(), ""
        state: RunState = build(RunState, parse(content), self._uri)
        return state, etag


def _leads_to(before: Stage, stage: Stage) -> bool:
    """Tell whether a stage comes some time after another one."""
    return any(one == stage or _leads_to(one, stage) for one in NEXT[before])
