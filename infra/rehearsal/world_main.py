"""The first process of the world: builds it, rehearses in it, and with its end all that runs in it ends.

    unshare ... python -m infra.rehearsal.world_main FOLDER

Standard input is a leash: who started it holds the other end, and when that one dies, so does this, unless the
rehearsal is kept. SIGTERM and SIGINT ask it to destroy what is there and to end; asked again, it ends at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import psutil
import pulumi.automation as auto
from botocore.exceptions import BotoCoreError, ClientError

from infra.cli.errors import InputError, RunFailedError, StageFailedError
from infra.rehearsal import keeping
from infra.rehearsal.conclusion import Findings, conclude
from infra.rehearsal.emulator import EmulatorError
from infra.rehearsal.folder import Folder
from infra.rehearsal.machines.namespaces import prepare
from infra.rehearsal.plan import Plan
from infra.rehearsal.rehearse import rehearse, require_success, take_down
from infra.rehearsal.result import INTERRUPTED
from infra.rehearsal.stages import said
from infra.rehearsal.story import Story
from infra.rehearsal.training import ranks
from infra.rehearsal.world import World, build_world

FAILURES = (
    *(InputError, RunFailedError, StageFailedError, EmulatorError),
    *(auto.CommandError, BotoCoreError, ClientError, OSError),
)
"""What a rehearsal may end by; anything else is a mistake of ours, whose trace is wanted in the log."""


def main(path: str) -> int:
    """Rehearse; 0: all held."""
    prepare()
    folder = Folder(path=Path(path))
    plan, story = Plan.read(folder.plan), Story(folder.events)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    threading.Thread(target=_end_with_the_starter, args=(folder,), daemon=True, name="leash").start()
    findings = Findings()
    try:
        with build_world(folder, plan, story) as world:
            outcome = _attempted(world, findings)
            if not outcome and plan.keep:
                conclude(world, findings, outcome)
                keeping.keep(world)
            outcome = _ended(world, findings, outcome)
            conclude(world, findings, outcome)
    except (KeyboardInterrupt, *FAILURES) as error:  # there was no world yet, or it does not end
        reason = INTERRUPTED if isinstance(error, KeyboardInterrupt) else said(error)
        story.tell("note", f"the rehearsal failed: {reason}", failed=reason)
        return 1
    folder.write(over=True)
    return 1 if outcome else 0


def _attempted(world: World, findings: Findings) -> str:
    """Rehearse and return why it failed, empty where it did not."""
    try:
        rehearse(world, findings)
        require_success(findings, ranks(world))
    except KeyboardInterrupt:
        return INTERRUPTED
    except FAILURES as error:
        return said(error)
    return ""


def _ended(world: World, findings: Findings, outcome: str) -> str:
    """Destroy what is there and return why the rehearsal failed, empty where it did not."""
    if outcome == INTERRUPTED and _engine_at_work():
        return outcome  # it may be killed in the middle of something: the account ends with the world anyway
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(1))
    try:
        take_down(world, findings)
        if not outcome:
            require_success(findings, ranks(world))
    except FAILURES as error:
        return outcome or said(error)
    return outcome


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _engine_at_work() -> bool:
    return any(one.name() == "pulumi" for one in psutil.Process().children())


def _end_with_the_starter(folder: Folder) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    if not folder.written().get("kept"):
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
