"""The stages of a rehearsal: each told when it begins and when it is over, and nothing is waited for in silence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pulumi.automation as auto

from infra.cli.errors import RunFailedError, one_line
from infra.rehearsal.story import Story

Answer = TypeVar("Answer")
LOOK_SECONDS = 0.5
"""Between two looks at the emulated AWS, which is asked at once and costs no quota."""
SILENT_SECONDS = 600.0
"""A rehearsal in which nothing at all happens for so long goes no further."""


@contextmanager
def stage(story: Story, name: str) -> Iterator[None]:
    """Tell that a stage begins, and how it ended."""
    begun = time.monotonic()
    story.tell("stage", name, name=name, state="begun")
    try:
        yield
    except BaseException as error:
        seconds = time.monotonic() - begun
        what = f"{name}: {str(error) or type(error).__name__}"
        story.tell("stage", what, name=name, state="failed", seconds=round(seconds, 2))
        raise
    seconds = time.monotonic() - begun
    story.tell(
        "stage", f"{name}: done in {seconds:.1f} s", name=name, state="done", seconds=round(seconds, 2)
    )


def said(error: BaseException) -> str:
    """Return an error as one line; of the engine's, which repeats all of its output, what it calls an error."""
    text = str(error)
    if isinstance(error, auto.CommandError):
        lines = [line.strip() for line in text.splitlines() if "error:" in line]
        text = "; ".join(dict.fromkeys(lines)) or text
    return one_line(" ".join(text.split()) or type(error).__name__)


def awaited(
    story: Story, what: str, look: Callable[[], Answer | None], *, silent_seconds: float = SILENT_SECONDS
) -> Answer:
    """Return what a look finds, as soon as it finds something.

    Args:
        story: that must go on meanwhile.
        what: is waited for, for messages.
        look: returns None while it is not there yet.
        silent_seconds: without any event after which it never will be.

    Raises:
        RunFailedError: nothing has happened for long.
    """
    told, since = -1, time.monotonic()
    while (found := look()) is None:
        size = story.path.stat().st_size if story.path.exists() else 0
        if size != told:
            told, since = size, time.monotonic()
        if time.monotonic() - since > silent_seconds:
            raise RunFailedError(
                f"{what} must come, nothing has happened for {silent_seconds:.0f} s; see the nodes' logs"
            )
        time.sleep(LOOK_SECONDS)
    return found
