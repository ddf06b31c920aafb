"""A rank that hangs is found and named: each marks its progress where all see it, and each watches the others.

The main thread only sets a variable. A thread publishes it in the store of torchrun's agent, which goes on when a rank
is stopped, and reads what the others published. When nobody has moved for `train.hang_seconds`, the rank that the
others wait for is the one that is silent (a stopped process has no running threads) or else the one furthest behind.
The lowest rank that is not to blame says so, and all end: with exit code 1, or by SIGKILL where a process is stopped.
Marks are read every tenth of the window: a hang is found within 1.25 windows. The first step (which may compile),
saving and measuring may take ten windows, the latter two no longer than the others' collectives wait for them; each
batch measured counts as progress.

A GPU that hangs stops every rank's main thread in the same place: then all of them are named.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

import torch.distributed as dist
from torch._C._distributed_c10d import HashStore

from model_code import incidents
from model_code.parallel import TIMEOUT, World
from model_code.process import Process, this_process
from model_code.progress import say

LOOKS = 10  # a window
SLOW = 10  # windows that a slow phase may take
WAITED_FOR = 0.8 * TIMEOUT.total_seconds()  # named before the others' collectives give up
PUBLISH_EVERY = 0.2  # seconds
DONE = "done"
SAID_WITHIN = 10.0  # seconds that the others wait for the one that reports
SHOWN_FRAMES = 12


class Marks:
    """Where this rank's main thread is."""

    def __init__(self) -> None:
        """Begin before the first step."""
        self.now: tuple[int, int, str] = (0, 0, "start")  # marks so far, step, phase: replaced as one
        self._first: int | None = None

    def at(self, step: int, phase: str) -> None:
        """Note a move: the step in hand and what is done for it."""
        if self._first is None:
            self._first = step
        self.now = (self.now[0] + 1, step, "start" if step == self._first and phase != DONE else phase)

    def again(self) -> None:
        """Note a move within the phase."""
        self.at(*self.now[1:])


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What one rank is known to do."""

    process: Process
    """Who it is."""
    count: int
    """Marks so far: every rank makes the same ones, so fewer means behind."""
    step: int
    """Step in hand."""
    phase: str
    """`start`, `data`, `forward`, `backward`, `reduce`, `measure`, `save` or `done`."""
    still: float
    """Seconds without a move."""
    silent: float
    """Seconds without a sign of life of its threads."""


def hung(ranks: dict[int, Standing], window: float) -> tuple[list[int], float]:
    """Return the ranks that the others wait for (none while all is well), and for how many seconds.

    Args:
        ranks: every rank that has shown itself.
        window: seconds that a step may go without progress.
    """
    waited_for = SLOW * window if len(ranks) == 1 else max(window, min(SLOW * window, WAITED_FOR))
    patience = {"start": SLOW * window, "measure": waited_for, "save": waited_for}
    active = {rank: one for rank, one in ranks.items() if one.phase != DONE}
    # Importing and compiling hold Python's lock, so that no other thread runs.
    lively = {"start": SLOW * window}
    gone = {rank: one.silent for rank, one in active.items() if one.silent > lively.get(one.phase, window)}
    if gone:
        return list(gone), max(gone.values())
    if not active:
        return [], 0.0
    fewest = min(one.count for one in active.values())
    behind = [rank for rank, one in active.items() if one.count == fewest]
    still = min(one.still for one in active.values())
    if still <= patience.get(active[behind[0]].phase, window):
        return [], 0.0
    return [rank for rank, one in active.items() if one.silent > window / 2] or behind, still


class HangWatch:
    """The thread that publishes this rank's marks and watches all; while entered."""

    def __init__(self, run: str, world: World, marks: Marks, window: float) -> None:
        """Take what to watch; a `window` of 0 watches nothing."""
        self._run, self._world, self._marks, self._window = run, world, marks, window
        self._me = this_process()
        # The store's connection is not shared with the main thread, which may wait in it.
        self._store = dist.distributed_c10d._get_default_store().clone() if world.launched else HashStore()
        self._over = threading.Event()
        self._beat = 0
        self._known: dict[int, dict[str, Any]] = {}  # the newest that each published
        self._moved: dict[int, float] = {}
        self._lived: dict[int, float] = {}
        self._looked = time.monotonic()
        self._turned = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name="hang-watch", daemon=True)
        self._guard = threading.Thread(target=self._watch_store, name="hang-guard", daemon=True)

    def __enter__(self) -> Self:
        if self._window:
            self._publish()
            self._turned = time.monotonic()
            self._thread.start()
            self._guard.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._window:
            self._over.set()
            self._thread.join()
            self._guard.join()
            self._marks.at(0, DONE)
            with suppress(dist.DistError):  # torchrun may be gone first
                self._publish()

    def _watch(self) -> None:
        pause = min(PUBLISH_EVERY, self._window / LOOKS)
        every = math.ceil(
            self._window / LOOKS / pause
        )  # a look reads one value a rank: less often than it writes
        while not self._over.wait(pause):
            self._turned = time.monotonic()
            try:
                self._publish()
                if self._beat % every:
                    continue
                culprits, seconds = hung(self._look(), self._window)
            except dist.DistError:
                # Nobody is left who could stop, restart or count this process.
                say("error: torchrun is gone; this trainer ends, too; start it again to resume")
                os._exit(1)
            if culprits and not self._over.is_set():
                self._end(culprits, seconds)

    def _watch_store(self) -> None:
        """End this process where the store does not answer: it lives on a machine that hangs as a whole."""
        stuck, pause = 0, self._window / LOOKS
        while not self._over.wait(pause):
            # Looks are counted, not seconds: while this process is stopped itself, nobody looks.
            stuck = stuck + 1 if time.monotonic() - self._turned > pause else 0
            if stuck > 1.25 * LOOKS:
                say(
                    f"error: the trainers' store does not answer for {self._window:.0f} s, its machine hangs: look at "
                    "it, then start again: it resumes (train.hang_seconds sets the window)"
                )
                os._exit(1)

    def _publish(self) -> None:
        count, step, phase = self._marks.now
        self._beat += 1
        facts = {
            "process": asdict(self._me),
            "count": count,
            "step": step,
            "phase": phase,
            "beat": self._beat,
        }
        self._store.set(f"hang/{self._world.rank}", json.dumps(facts))

    def _look(self) -> dict[int, Standing]:
        now, before = time.monotonic(), self._looked
        self._looked = now
        late = max(0.0, now - before - 2 * self._window / LOOKS)  # this process did not run: it saw nothing
        for rank in range(self._world.world_size):
            self._moved[rank] = self._moved.get(rank, now) + late
            self._lived[rank] = self._lived.get(rank, now) + late
            if rank not in self._known and not self._store.check([f"hang/{rank}"]):
                continue
            facts, known = json.loads(self._store.get(f"hang/{rank}")), self._known.get(rank)
            if known is None or facts["count"] != known["count"]:
                self._moved[rank] = now
            if known is None or facts["beat"] != known["beat"]:
                self._lived[rank] = now
            self._known[rank] = facts
        return {
            rank: Standing(
                process=Process(**facts["process"]),
                count=facts["count"],
                step=facts["step"],
                phase=facts["phase"],
                still=now - self._moved[rank],
                silent=now - self._lived[rank],
            )
            for rank, facts in self._known.items()
        }

    def _end(self, culprits: list[int], seconds: float) -> None:
        """Say who hangs, once for all ranks, and leave: nothing that the main thread holds can be waited for."""
        silent = [rank for rank in culprits if time.monotonic() - self._lived[rank] > self._window / 2]
        if self._world.rank in culprits:
            stack = traceback.format_stack(sys._current_frames().get(threading.main_thread().ident or 0))
            say(f"rank {self._world.rank} hangs here:\n{''.join(stack[-SHOWN_FRAMES:])}".rstrip())
        able = [rank for rank in sorted(self._known) if rank not in silent]
        reporter = next((rank for rank in able if rank not in culprits), min(able))
        if self._world.rank == reporter:
            self._report(culprits, seconds)
            self._store.set("hang/said", "")
        else:
            deadline = time.monotonic() + SAID_WITHIN
            while time.monotonic() < deadline and not self._store.check(["hang/said"]):
                self._over.wait(0.1)
        for rank in silent:
            process = Process(**self._known[rank]["process"])
            if process.visible and process.runs:
                os.kill(process.pid, signal.SIGKILL)  # a stopped process hears nothing else
        os._exit(1)

    def _report(self, culprits: list[int], seconds: float) -> None:
        facts = [{"rank": rank, **self._known[rank]} for rank in culprits]
        where = "; ".join(
            f"rank {one['rank']} ({Process(**one['process'])}) shows no progress for {seconds:.0f} s "
            f"at step {one['step']} in {one['phase']}"
            for one in facts
        )
        say(
            f"error: {where}; look at that process and its machine, then start again: it resumes "
            "(train.hang_seconds sets the window)"
        )
        # The store may be what hangs: the line above is out, the file gets a chance.
        kept = threading.Thread(
            target=incidents.record,
            args=(self._run, "hang"),
            kwargs={"seconds": round(seconds, 1), "ranks": facts},
            daemon=True,
        )
        kept.start()
        kept.join(SAID_WITHIN / 2)
