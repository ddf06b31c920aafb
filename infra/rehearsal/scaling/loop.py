"""The thread that keeps groups at their size and judges alarms, for as long as the emulator runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from moto.autoscaling.models import AutoScalingBackend, autoscaling_backends
from moto.cloudwatch.models import cloudwatch_backends

from infra.rehearsal.scaling import alarms, groups, refresh, tracking
from infra.rehearsal.scaling.desk import DESK, Desk
from infra.rehearsal.scaling.metrics import publish_group
from infra.rehearsal.scaling.takeover import take_over

NAME = "scaling"
SECONDS = 0.5
"""Between two looks at all groups; a call wakes the loop at once."""
WATCH_EVERY = 10.0
"""Seconds of AWS's between two looks at alarms and targets."""
REPORT_EVERY = 60.0
"""Seconds of AWS's between two reports of a group's counts."""


def backends() -> Iterator[AutoScalingBackend]:
    """Yield Auto Scaling of every account and region that was spoken to."""
    for regions in list(autoscaling_backends.values()):
        yield from list(regions.values())


def look(desk: Desk) -> None:
    """Look at everything once."""
    with desk.lock:
        for backend in backends():
            for group in list(backend.autoscaling_groups.values()):
                refresh.step(group, desk)
                groups.look(group, desk)


def watch(desk: Desk) -> None:
    """Judge alarms and follow targets once."""
    with desk.lock:
        alarms.judge(desk)
        for backend in backends():
            tracking.track(backend, desk)


def report(desk: Desk) -> None:
    """Let every group report its counts once."""
    with desk.lock:
        for backend in backends():
            for group in list(backend.autoscaling_groups.values()):
                publish_group(cloudwatch_backends[group.account_id][group.region], group, desk.clock)


def start() -> threading.Thread:
    """Take groups over from moto and keep them, in a thread that ends with the process.

    An error of its own ends it, with its traceback in the emulator's log; `running` tells.
    """
    take_over()
    thread = threading.Thread(target=_run, args=(DESK,), name=NAME, daemon=True)
    thread.start()
    return thread


def running() -> bool:
    """Tell whether the loop runs."""
    return any(one.name == NAME for one in threading.enumerate())


def _run(desk: Desk) -> None:
    watched = reported = desk.now()
    try:
        while True:
            desk.bell.wait(SECONDS)
            desk.bell.clear()
            look(desk)
            if desk.clock.passed(reported) >= REPORT_EVERY:
                reported = desk.now()
                report(desk)
            if desk.clock.passed(watched) >= WATCH_EVERY:
                watched = desk.now()
                watch(desk)
    finally:
        desk.tell("refused", "scaling has ended by an error of its own: the emulator's log has it")
