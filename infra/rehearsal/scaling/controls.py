"""What the rehearsal asks of groups and alarms: what happened, how they are, how fast AWS's minutes pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infra.rehearsal.scaling.book import record_of
from infra.rehearsal.scaling.desk import DESK
from infra.rehearsal.scaling.loop import backends, running
from infra.rehearsal.scaling.nodes import nodes_of


def scaling(since: int = 0, speed: float | None = None) -> dict[str, Any]:
    """Return what happened and how groups are.

    Args:
        since: number of the first entry that is wanted: what `next` said the last time.
        speed: seconds of AWS's that pass in one of ours from now on, 1 to 60; None: as before.

    Raises:
        ValueError: the speed is out of range.
    """
    if speed is not None:
        DESK.clock.set_speed(speed)
    with DESK.lock:
        events = DESK.diary.since(since)
        return {
            "running": running(),
            "speed": DESK.clock.speed,
            "events": events,
            "next": max(0, since) + len(events),
            "groups": {group.name: _group(group) for backend in backends() for group in _groups(backend)},
        }


def machines(here: list[str]) -> None:
    """Take from the runner behind which instances something runs: a group keeps a node until it has shut down.

    Args:
        here: their ids.
    """
    with DESK.lock:
        DESK.machines.clear()
        DESK.machines.update(here)
    DESK.bell.set()


def _groups(backend: Any) -> list[Any]:  # noqa: ANN401 - moto's
    return list(backend.autoscaling_groups.values())


def _group(group: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's
    return {
        "desired": group.desired_capacity,
        "nodes": {node.instance_id: node.lifecycle_state for node in nodes_of(group)},
        "refreshes": [one.status for one in record_of(group).refreshes],
    }


CONTROLS: Mapping[str, Callable[..., Any]] = {"scaling": scaling, "machines": machines}
