"""A rank that is slower than the others is named: they all wait for it, step by step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import median, median_low

from model_code import incidents
from model_code.process import Process

WINDOW = 20  # steps: shorter is chance (another program on that machine), longer tells it late
LOOK_EVERY = 10  # steps
SLOW, WELL = 1.5, 1.25  # times the others' median; between them nothing changes


def factors(steps: list[tuple[float, ...]]) -> list[float]:
    """Return for each rank how many times the others' own time it takes (1 where they take none).

    Args:
        steps: each rank's seconds, for each step. A rank counts by its median: one slow step is no straggler.
    """
    typical = [median(times) for times in zip(*steps, strict=True)]
    return [
        mine / others if (others := median_low(typical[:rank] + typical[rank + 1 :])) > 0 else 1.0
        for rank, mine in enumerate(typical)
    ]


class Stragglers:
    """Names a slow rank once, and once more when it has recovered. One rank keeps it, for all."""

    def __init__(self, run: str, ranks: list[Process], say: Callable[[str], None]) -> None:
        """Take the processes by rank, and where to speak."""
        self._run, self._ranks, self._say = run, ranks, say
        self._steps: deque[tuple[float, ...]] = deque(maxlen=WINDOW)
        self._slow: set[int] = set()

    def note(self, step: int, seconds: tuple[float, ...]) -> None:
        """Take each rank's own seconds of a step."""
        if len(self._ranks) < 2:
            return
        self._steps.append(seconds)
        if len(self._steps) < WINDOW or step % LOOK_EVERY:
            return
        for rank, factor in enumerate(factors(list(self._steps))):
            if factor > SLOW and rank not in self._slow:
                self._slow.add(rank)
                self._tell("straggler", rank, step, factor, "is a straggler: the others wait for it")
            elif factor < WELL and rank in self._slow:
                self._slow.remove(rank)
                self._tell("recovered", rank, step, factor, "keeps up again")

    def _tell(self, kind: str, rank: int, step: int, factor: float, what: str) -> None:
        process = self._ranks[rank]
        self._say(
            f"rank {rank} ({process}) {what}; it took {factor:.1f} times the others' time "
            f"in the {WINDOW} steps to {step}"
        )
        incidents.record(
            self._run, kind, rank=rank, host=process.host, pid=process.pid, step=step, factor=round(factor, 2)
        )
