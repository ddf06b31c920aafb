"""What a serving node endures under load: killed and stuck processes, too many requests, clients that behave badly."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.faults import nodes
from tests.faults.clients import Asked, Clients
from tests.faults.fault import Fault, Seen
from tests.faults.slow_clients import bad_clients
from tests.serving_node import RunningNode, until

CONNECTIONS = 32
BATCH = 8
"""Requests that a worker holds at a time: the node's default."""

READY_FALSE_SECONDS = 10.0
"""The promise for a stuck worker; the setting behind it is --stuck-seconds 8."""

WARM = 300
"""Answers before a fault, so that connections are open and batches are full."""


def kill(
    choose: Callable[[RunningNode], psutil.Process], workers: int, most_failed: int, counted: str = ""
) -> Seen:
    """Kill a process under load; only requests that were in flight then may fail.

    Args:
        choose: returns the victim.
        workers: of the node.
        most_failed: requests that can be in flight in it.
        counted: name under which the supervisor counts its restarts; empty: it is TorchServe that restarts it.
    """
    node = nodes.node(workers)
    restarts = f'skylift_restarts{{process="{counted}"}}'
    restarted = node.metric(restarts)
    before = {p.pid for p in node.family()}
    asking = nodes.clients(node)
    with asking.asking(CONNECTIONS):
        until(lambda: asking.statuses[200] >= WARM, nodes.RECOVERY_SECONDS, "answers")
        begun, gone = nodes.killed(choose(node))
        until(lambda: asking.good_after(gone) is not None, nodes.RECOVERY_SECONDS, "a good answer")
        ready = nodes.recovered(node, workers)
    nodes.no_process_left(node, before)
    assert node.metric(restarts) == restarted + bool(counted)
    failed = only_in_flight(asking, begun, gone, most_failed)
    good = (asking.good_after(gone) or 0.0) - begun
    whole = f"whole again after {ready - begun:.1f} s"
    return Seen(what=f"{failed} of {len(asking.asked):,} failed; {whole}", recovery_seconds=good)


def only_in_flight(asking: Clients, begun: float, gone: float, most: int) -> int:
    """Assert that every failure was in flight while a process ended, and that they are few; return how many.

    A process with hundreds of threads takes up to 0.1 s to die, and still takes connections: one that failed at the
    beginning of that time may fail once more.
    """
    late = [one for one in asking.failures if one.begun > gone or one.ended < begun]
    assert not late, f"{len(late)} requests failed that were not in flight: {late[:3]}"
    assert len(asking.failures) <= most, f"{len(asking.failures)} failed, {most} could be in flight"
    answered = [one for one in asking.failures if one.status]
    assert all(one.status in (502, 503) and one.retry_after for one in answered), answered[:3]
    return len(asking.failures)


def stop_a_worker(_: Path) -> Seen:
    """SIGSTOP: the worker is alive and does nothing."""
    node = nodes.node(2)
    before = {p.pid for p in node.family()}
    victim, stuck = node.workers()[0], node.metric("skylift_stuck_workers")
    asking = nodes.clients(node)
    with asking.asking(CONNECTIONS):
        until(lambda: asking.statuses[200] >= WARM, nodes.RECOVERY_SECONDS, "answers")
        victim.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        unready = until(lambda: not node.ready(), READY_FALSE_SECONDS, "unready")
        until(lambda: not victim.is_running(), nodes.RECOVERY_SECONDS, "the stuck worker replaced")
        gone = time.monotonic()
        ready = nodes.recovered(node, 2)
    nodes.no_process_left(node, before)
    assert node.metric("skylift_stuck_workers") == stuck + 1
    failed = only_in_flight(asking, stopped, gone, BATCH)
    what = f"unready after {unready:.1f} s; {failed} of {len(asking.asked):,} failed"
    return Seen(what=what, recovery_seconds=ready - stopped)


def overload(seconds: float) -> Seen:
    """Offer twice what one worker can do: admitted requests are answered in time, the rest is told to come back."""
    queue = 32
    node, body = nodes.node(1, "--max-queue", str(queue)), nodes.slow_picture(2000)
    full = nodes.clients(node, body)
    with full.asking(16):
        until(lambda: len(full.asked) >= 150, nodes.RECOVERY_SECONDS, "answers")
    capacity = len(full.asked) / (full.asked[-1].ended - full.asked[0].begun)
    workers, readiness = {p.pid for p in node.workers()}, set[bool]()
    offered = nodes.clients(node, body)
    with offered.offering(2 * capacity, seed=1):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            readiness.add(node.ready())
    assert readiness == {True}, "the node was unready under overload"
    assert {p.pid for p in node.workers()} == workers, "a worker was replaced"
    assert "skylift_stuck_workers 0.0" in node.metrics()
    refused = [one for one in offered.asked if one.status != 200]
    assert refused, "there was no overload"
    assert all(one.status == 503 and one.retry_after for one in refused), strange(refused)
    # A full waiting room and all that is in the server at once: who is admitted waits no longer than they take.
    # Reckoned at the pace of these seconds: a busy machine may have slowed down since the capacity was measured.
    times = [one for one in offered.asked if one.status == 200]
    pace = len(times) / (max(one.ended for one in times) - min(one.begun for one in times))
    room = (queue + 3 * BATCH) / pace
    p99, at_once = percentile(offered.latencies(200), 0.99), percentile(offered.latencies(503), 0.5)
    assert p99 < 2 * room, f"p99 of admitted requests is {p99:.2f} s, a full waiting room takes {room:.2f} s"
    assert at_once < room / 2, f"half of the refusals took longer than {at_once:.2f} s"
    share = f"{len(refused) / len(offered.asked):.0%} refused, half of them within {1000 * at_once:.0f} ms"
    return Seen(what=f"{capacity:.0f} requests/s possible; {share}; admitted: p99 {1000 * p99:.0f} ms")


def strange(refused: list[Asked]) -> list[Asked]:
    """Return the first refusals that are none."""
    return [one for one in refused if one.status != 503 or not one.retry_after][:3]


def percentile(values: list[float], share: float) -> float:
    """Return a percentile of sorted values."""
    return values[min(len(values) - 1, int(share * len(values)))]


IN_FLIGHT = "only requests in flight fail"
FAULTS = (
    Fault(
        name="kill -9 of one of 2 workers",
        promise=IN_FLIGHT,
        inject=lambda _: kill(lambda node: node.workers()[0], 2, BATCH),
        times=5,
    ),
    Fault(
        name="kill -9 of the only worker",
        promise=IN_FLIGHT,
        inject=lambda _: kill(lambda node: node.workers()[0], 1, BATCH),
        times=5,
    ),
    Fault(
        name="kill -9 of the model server (JVM)",
        promise=f"{IN_FLIGHT}, the others wait",
        inject=lambda _: kill(nodes.java, 2, 2 * CONNECTIONS, "torchserve"),
        times=4,
    ),
    Fault(
        name="kill -9 of HAProxy",
        promise=IN_FLIGHT,
        inject=lambda _: kill(nodes.haproxy, 2, 2 * CONNECTIONS, "haproxy"),
        times=4,
    ),
    Fault(
        name="SIGSTOP of one of 2 workers",
        promise="/ready false within 10 s, worker replaced",
        inject=stop_a_worker,
        times=3,
    ),
    Fault(
        name="twice the load it can take, 10 s",
        promise="admitted p99 holds, rest 503 + Retry-After, no worker killed",
        inject=lambda _: overload(10),
        times=1,
    ),
    Fault(
        name="twice the load it can take, 30 s",
        promise="admitted p99 holds, rest 503 + Retry-After, no worker killed",
        inject=lambda _: overload(30),
        times=2,
        quick=False,
    ),
    Fault(
        name="slow, half-closed and vanishing clients",
        promise="die at the front; others are served",
        inject=bad_clients,
        times=1,
    ),
)
"""In the order of the table."""
