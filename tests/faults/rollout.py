"""Releases change under load: forth and back, on a share of the nodes, without memory for two, after a restart."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from model_code.pointer import move_pointer
from serve_config.turn import goes_first
from tests.faults import refused
from tests.faults.fault import Fault, Seen
from tests.faults.load import Load
from tests.faults.shelf import Shelf, java_servers, refuses, said, serves
from tests.serving import NAME
from tests.serving_node import RunningNode, running_node, until

SECONDS = 120.0
"""Deadline of every wait."""
CONNECTIONS = 64
MIB = 1 << 20
FAST = ("--follow-seconds", "1", "--probe-seconds", "1")


def forth_and_back(folder: Path) -> Seen:
    """Publish a release under load, go back by command, and kill the front afterwards."""
    shelf = Shelf(folder)
    old, new = shelf.good(1), shelf.good(2)
    move_pointer(str(shelf.models), NAME, old, shelf.key)
    with running_node([*shelf.words, "--workers", "2", *FAST]) as node:
        with Load(node, shelf.answers, CONNECTIONS) as load:
            until(lambda: load.seen.answered > 500, SECONDS, "traffic")
            begun = time.monotonic()
            move_pointer(str(shelf.models), NAME, new, shelf.key)
            until(lambda: serves(node, new), SECONDS, "the new release served")
            switched = time.monotonic()
            until(lambda: load.seen.answered_after(switched) > 500, SECONDS, "traffic after the switch")
            going_back = time.monotonic()
            assert shelf.skylift("rollback", "--name", NAME)["version"] == old
            until(lambda: serves(node, old), SECONDS, "the old release served again")
            back = time.monotonic()
            until(lambda: load.seen.answered_after(back) > 500, SECONDS, "traffic after the rollback")
        seen = load.seen
        assert not seen.failures, seen.failures[:3]
        assert {status for status, _ in seen.counts} == {200}
        assert seen.versions(0.0, begun) == {old}
        assert seen.versions(switched, going_back) == {new}
        assert seen.versions(back) == {old}
        until(lambda: java_servers(node) == 1, SECONDS, "the replaced release's processes are gone")
        front_comes_back(node, old)
        description(node, old)
    return Seen(
        what=f"0 of {seen.answered:,} requests failed, each answered by one of the two; slowest answer "
        f"{seen.slowest:.1f} s; rollback in {back - going_back:.1f} s",
        recovery_seconds=switched - begun,
    )


def front_comes_back(node: RunningNode, version: str) -> None:
    """Kill HAProxy and see that the new one knows which server serves."""
    front = next(p for p in node.family() if p.name() == "haproxy")
    front.kill()
    until(
        lambda: "haproxy" in {p.name() for p in node.family() if p.pid != front.pid}, SECONDS, "a new front"
    )
    until(lambda: serves(node, version), SECONDS, "ready behind the new front")


def description(node: RunningNode, version: str) -> None:
    """Check that everything that names a version names the served one."""
    with node.client() as client:
        assert client.get(f"/v2/models/{NAME}").json()["versions"] == [version]
    assert f'skylift_model_info{{name="{NAME}",version="{version}"}} 1.0' in node.metrics()


def half_of_the_nodes(folder: Path) -> Seen:
    """Two nodes follow one pointer: a release for 50 % goes to one of them; abort, then again and promote."""
    shelf = Shelf(folder)
    old, new = shelf.good(1), shelf.good(2)
    models = str(shelf.models)
    move_pointer(models, NAME, old, shelf.key)
    names = [f"node-{i}" for i in range(64)]
    first = next(name for name in names if goes_first(name, 50))
    other = next(name for name in names if not goes_first(name, 50))
    with ExitStack() as stack:
        one, two = (
            stack.enter_context(
                running_node(
                    [*shelf.words, "--workers", "1", *FAST, "--node-id", name, "--state", str(folder / name)]
                )
            )
            for name in (first, other)
        )
        loads = [
            stack.enter_context(Load(node, shelf.answers, refused.CONNECTIONS, refused.PAUSE_SECONDS))
            for node in (one, two)
        ]
        begun = time.monotonic()
        counter = move_pointer(models, NAME, new, shelf.key, 50).counter
        until(lambda: serves(one, new), SECONDS, "the first node moves")
        took = time.monotonic() - begun
        until(
            lambda: known_counter(folder / other) == counter, SECONDS, "the other node has seen the pointer"
        )
        assert serves(two, old)
        shelf.skylift("abort", "--name", NAME)
        until(lambda: serves(one, old), SECONDS, "the first node moves back")
        move_pointer(models, NAME, new, shelf.key, 50)
        assert serves(two, old)
        shelf.skylift("promote", "--name", NAME)
        until(lambda: serves(one, new) and serves(two, new), SECONDS, "both nodes follow")
        until(lambda: answered_by(loads[1]) == {old, new}, SECONDS, "the other node's new release answers")
    failures = [failure for load in loads for failure in load.seen.failures]
    assert not failures, failures[:3]
    total = sum(load.seen.answered for load in loads)
    return Seen(
        what=f"one node moved, back on abort, both on promote; 0 of {total:,} requests failed",
        recovery_seconds=took,
    )


def answered_by(load: Load) -> set[str]:
    """Return the versions that answered a load."""
    return {version for _, version in list(load.seen.counts)}


def known_counter(state: Path) -> int:
    """Return the counter that a node remembers."""
    return int((state / f"{NAME}.counter").read_text())


def no_memory_for_two(folder: Path) -> Seen:
    """Publish what does not fit beside the served release: a good one, a bad one, one that does not fit at all."""
    shelf = Shelf(folder)
    old, new = (shelf.good(seed, peak_bytes=400 * MIB) for seed in (1, 2))
    shelf.point(old)
    words = [*shelf.words, "--workers", "1", *FAST, "--memory-mb", "800", "--memory-reserve-mb", "0"]
    with (
        running_node(words) as node,
        Load(node, shelf.answers, refused.CONNECTIONS, refused.PAUSE_SECONDS) as load,
    ):
        begun = time.monotonic()
        shelf.point(new)
        until(lambda: "no memory for both" in said(node).get("error", ""), SECONDS, "unready while it swaps")
        until(lambda: serves(node, new), SECONDS, "the new release served")
        took = time.monotonic() - begun
        assert any("one after the other" in line for line in node.log)
        bad = shelf.wrong_golden(peak_bytes=400 * MIB)
        shelf.point(bad)
        until(lambda: refuses(node, bad) and serves(node, new), SECONDS, "the release before served again")
        swapped = len(load.seen.failures)
        huge = shelf.good(3, peak_bytes=2000 * MIB)
        shelf.point(huge)
        until(lambda: refuses(node, huge), SECONDS, "the huge release refused")
        assert "MiB of memory" in said(node)["refused"]["reason"]
        assert len(load.seen.failures) == swapped, "the huge release harmed the served one"
        assert java_servers(node) == 1
    assert {status for status, _ in load.seen.counts} <= {200, 503}, load.seen.counts
    unready = sum(count for (status, _), count in load.seen.counts.items() if status == 503)
    assert len(load.seen.failures) == unready, [f for f in load.seen.failures if "503" not in f][:3]
    return Seen(
        what=f"swapped in place, back after a bad one; {load.seen.answered - unready:,} right answers, "
        "503 with Retry-After in between",
        recovery_seconds=took,
    )


def restart_while_refused(folder: Path) -> Seen:
    """Start a node again while the release that the pointer names is one that it must refuse."""
    shelf = Shelf(folder)
    good = shelf.good(1)
    shelf.point(good)
    words = [*shelf.words, "--workers", "1", *FAST, "--state", str(folder / "state")]
    with running_node(words) as node:
        assert serves(node, good)
    bad = shelf.wrong_golden()
    shelf.point(bad)
    begun = time.monotonic()
    with running_node(words) as node:
        took = time.monotonic() - begun
        assert node.facts["version"] == good
        assert serves(node, good)
        assert refuses(node, bad)
        assert known_counter(folder / "state") == shelf.counter
    return Seen(what="serves the release proven last, verified again", recovery_seconds=took)


FAULTS = (
    Fault(
        name=f"a new release and a rollback under {CONNECTIONS} connections",
        promise="no request fails, every answer is of one of the two releases, after the switch of the new one",
        inject=forth_and_back,
        times=5,
    ),
    Fault(
        name="two nodes follow one pointer with 50 %",
        promise="one moves, the other on promote only; abort moves it back; no request fails",
        inject=half_of_the_nodes,
        times=3,
    ),
    Fault(
        name="no memory for two releases at once",
        promise="swapped in place; where the new one fails the old one is started again",
        inject=no_memory_for_two,
        times=3,
    ),
    Fault(
        name="a restart while the pointed release is refused",
        promise="the release proven last is served",
        inject=restart_while_refused,
        times=3,
    ),
    *refused.FAULTS,
)
