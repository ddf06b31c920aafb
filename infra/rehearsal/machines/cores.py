"""Which cores of this machine each node may use: as many as it would have to itself if all were shared out.

Nodes that all take all cores start as many threads as there are cores, each of them: they then wait for one another in
turns, spinning, and a step of a training takes several times as long.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import psutil

from infra.rehearsal.machines.machine import Machine


def shares(nodes: Sequence[str], cores: Sequence[int]) -> dict[str, list[int]]:
    """Return each node's cores. Pure; a lone node has all, and where there are more nodes than cores, some share one.

    Args:
        nodes: ids, in an order that does not change.
        cores: of this machine.
    """
    count = max(1, len(cores) // max(1, len(nodes)))
    return {
        node: [cores[(at * count + i) % len(cores)] for i in range(count)] for at, node in enumerate(nodes)
    }


def share(machines: Mapping[str, Machine], cores: Sequence[int]) -> None:
    """Give each machine's processes its cores; what they start inherits them."""
    for instance, given in shares(sorted(machines, key=lambda one: machines[one].address), cores).items():
        for process in machines[instance].processes():
            with contextlib.suppress(psutil.Error):  # it has just ended
                process.cpu_affinity(given)
