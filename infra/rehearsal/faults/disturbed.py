"""A training that was disturbed: what is measured of each, and how it is judged."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from infra.rehearsal.faults.fault import Seen
from infra.rehearsal.faults.run import Consoles, Pulse
from infra.rehearsal.faults.scene import Scene
from infra.rehearsal.faults.waiting import PATIENCE, pause, until

LEAST, MOST = 0.2, 0.9
"""Between which shares of a checkpoint's interval harm is done: not at the very moment of a save."""


@dataclass(frozen=True, kw_only=True)
class Disturbed:
    """What was measured."""

    every: int
    """Steps between two checkpoints."""
    saved: int
    """Step of the newest complete checkpoint when the harm was done."""
    done: float
    """Steps that were done by then, as far as the pace tells."""
    resumed: int | None
    """Step after which the training went on; None: it was never interrupted."""
    seconds: float
    """From the harm until it went on; where it was never interrupted, until the next checkpoint."""
    later: int
    """Step of a checkpoint that was made afterwards."""
    passed_over: tuple[str, ...] = ()
    """Checkpoints that were not used, and why."""
    what: str = ""
    """What else was seen, for the table."""
    wrong: str = ""
    """What else was to be seen and was not."""

    @property
    def lost(self) -> int:
        """Steps that were done again, about; 0 where none were."""
        return 0 if self.resumed is None else max(0, round(self.done) - self.resumed)


def disturb(
    scene: Scene,
    harm: Callable[[Pulse], object],
    *,
    interrupts: bool = True,
    over: Callable[[Consoles], object] | None = None,
    look: Callable[[Consoles, Disturbed], Disturbed] | None = None,
) -> Disturbed:
    """Do harm to a training that gets on, and return what was measured once it gets on again.

    Args:
        scene: where.
        harm: does it.
        interrupts: whether the training must start again because of it; else it may.
        over: returns once the harm is over; None: it is when `harm` returns.
        look: adds what else was seen.

    Raises:
        NotRecoveredError: it does not get on again.
    """
    pulse, consoles = scene.run.pulse(), scene.consoles()
    pause(scene.chance.uniform(LEAST, MOST) * pulse.every / pulse.pace)
    saved, begun = scene.run.newest, time.monotonic()
    harm(pulse)
    if over:
        over(consoles)
    if interrupts:
        until(consoles.resumed, "training that went on after a checkpoint", PATIENCE)
        seconds = time.monotonic() - begun
    newest = scene.run.newest
    later = scene.run.await_step(newest + 1)
    if not interrupts:
        seconds = time.monotonic() - begun
    resumed = consoles.resumed()
    disturbed = Disturbed(
        every=pulse.every,
        saved=saved,
        done=pulse.done(begun),
        resumed=min(resumed) if resumed else None,
        seconds=seconds,
        later=later,
        passed_over=tuple(consoles.passed_over()),
    )
    return look(consoles, disturbed) if look else disturbed


def resumes(found: Disturbed) -> Seen:
    """Judge: it goes on after the newest checkpoint that was complete, or a later one."""
    if found.resumed is None:
        return _seen(found, kept=not found.wrong, what="went on without a restart")
    kept = found.resumed >= found.saved and found.lost <= found.every and found.later > found.resumed
    return _seen(found, kept=kept and not found.wrong, what=_lost(found))


def loses_nothing(found: Disturbed) -> Seen:
    """Judge: it goes on after the very step that it was stopped at."""
    kept = found.resumed is not None and found.resumed > found.saved and found.lost == 0 and not found.wrong
    return _seen(found, kept=kept, what=_lost(found))


def passes_over(found: Disturbed) -> Seen:
    """Judge: what is damaged is said and not used; the checkpoint before it is."""
    if not found.passed_over:
        return _seen(found, kept=False, what=f"{_lost(found)}; nothing was passed over")
    kept = found.resumed is not None and found.lost <= 2 * found.every and not found.wrong
    return _seen(found, kept=kept, what=f"{_lost(found)}; {found.passed_over[0]}")


def goes_on(found: Disturbed) -> Seen:
    """Judge: it is never interrupted."""
    if found.resumed is not None:
        return _seen(found, kept=False, what=f"was interrupted: {_lost(found)}")
    return _seen(found, kept=not found.wrong, what="went on without a restart")


def _lost(found: Disturbed) -> str:
    if found.resumed is None:
        return "went on without a restart"
    return f"went on after step {found.resumed}, {found.lost} steps done again (a checkpoint every {found.every})"


def _seen(found: Disturbed, *, kept: bool, what: str) -> Seen:
    said = "; ".join(part for part in (what, found.what, found.wrong) if part)
    return Seen(kept=kept, what=said, recovery_seconds=None if found.resumed is None else found.seconds)
