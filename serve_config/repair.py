"""When the node's own repair has failed: is it this machine, or the release?

A machine at fault is given back to its group (`SetInstanceHealth`). A release at fault is not the machine's: one bad
pointer must not make the group replace all its nodes for ever (which health type ELB would do).
"""

from __future__ import annotations

from serve_config.background import in_background
from serve_config.fleet import AWS_ERRORS, Fleet
from serve_config.processes import log
from serve_config.workplace import Memory

MOST_FAILURES = 3
"""So many ends of the node in a row are no accident. Each comes after its own repairs: it starts its servers again
up to five times in two minutes."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 120.0
"""Seconds before the next start: doubled each time."""


class Repair:
    """Counts the ends of the node."""

    def __init__(self, fleet: Fleet, memory: Memory) -> None:
        """Count from none.

        Args:
            fleet: the node's place among the others.
            memory: whether a release was proven on this machine.
        """
        self._fleet, self._memory = fleet, memory
        self._failures, self._reported = 0, False

    async def failed(self) -> float:
        """Take note of an end; return the seconds to wait before the next start."""
        self._failures += 1
        if self._failures >= MOST_FAILURES and not self._reported:
            await self._judge()
        return float(min(FIRST_PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE))

    async def _judge(self) -> None:
        try:
            others = await in_background(self._fleet.healthy_others)
            if machine_at_fault(proven_here=bool(self._memory.good), healthy_others=others):
                await in_background(self._fleet.report_unhealthy)
                self._reported = True
                log("this machine cannot be repaired from here: the group is asked to replace it")
            else:
                log("no node serves this release: the release is at fault, not the machine; publish another")
        except AWS_ERRORS as error:
            log(f"the group could not be asked to replace this machine: {error}")


def machine_at_fault(*, proven_here: bool, healthy_others: int) -> bool:
    """Tell whether a node that does not stay up is at fault itself.

    Args:
        proven_here: this machine has served a release before.
        healthy_others: nodes that the load balancer finds healthy now.
    """
    return proven_here or healthy_others > 0
