"""Releases that must not be served, published one after the other at a node that serves a good one under light load."""

from __future__ import annotations

import atexit
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.fault import Fault, Seen
from tests.faults.load import Load
from tests.faults.shelf import (
    EXHAUSTS_MEMORY,
    RAISES_AT_LOAD,
    RAISES_ON_REQUESTS,
    Shelf,
    java_servers,
    refuses,
    said,
    serves,
)
from tests.serving import NAME, new_signer
from tests.serving_node import RunningNode, running_node, until, value_of

SECONDS = 120.0
"""Deadline of every wait."""
CONNECTIONS, PAUSE_SECONDS = 4, 0.05
"""A light load, which leaves the processors to what is published."""
PROMISE = "the served release goes on; refused in /ready, log and metrics; no request fails"

_open = ExitStack()
atexit.register(_open.close)


@cache
def shared() -> tuple[Shelf, RunningNode]:
    """Return a store and a node that all these faults share: each must leave it as it was."""
    shelf = Shelf(Path(_open.enter_context(TemporaryDirectory(prefix="skylift-shelf-"))))
    shelf.point(shelf.good(1))
    words = [*shelf.words, "--workers", "1", "--follow-seconds", "1", "--probe-seconds", "1"]
    return shelf, _open.enter_context(running_node(words))


def close() -> None:
    """Stop the shared node."""
    _open.close()
    shared.cache_clear()


def refusal(kind: str, make: Callable[[Shelf], str]) -> Callable[[Path], Seen]:
    """Return the injection of a release that must be refused for one kind of reason."""

    def inject(_: Path) -> Seen:
        shelf, node = shared()
        bad = make(shelf)
        return check(shelf, node, bad, kind, lambda: shelf.point(bad))

    return inject


def strange_pointer(_: Path) -> Seen:
    """Put a pointer there that somebody else signed."""
    shelf, node = shared()
    other = shelf.good(2)
    return check(shelf, node, "current.json", "signature", lambda: shelf.point(other, new_signer()))


def old_pointer(_: Path) -> Seen:
    """Put a pointer back that was valid once."""
    shelf, node = shared()
    path = shelf.models / NAME / "current.json"
    old = path.read_bytes()
    shelf.point(node.facts["version"])
    until(lambda: seen_counter(node) == shelf.counter, SECONDS, "the newer pointer seen")

    def put_back() -> None:
        path.with_suffix(".old").write_bytes(old)
        path.with_suffix(".old").replace(path)

    return check(shelf, node, "current.json", "pointer", put_back)


def check(shelf: Shelf, node: RunningNode, bad: str, kind: str, publish: Callable[[], None]) -> Seen:
    """Publish what is bad under load, and see that it is refused, said, and forgotten once the pointer moves on."""
    good = node.facts["version"]
    counted = f'skylift_refused_releases_total{{reason="{kind}"}}'
    before, lines = node.metric(counted), _refusals(node, bad)
    with Load(node, shelf.answers, CONNECTIONS, PAUSE_SECONDS) as load:
        until(lambda: load.seen.answered > CONNECTIONS, SECONDS, "traffic")
        begun = time.monotonic()
        publish()
        until(lambda: refuses(node, bad), SECONDS, f"{bad} refused; the node says {said(node)}")
        took = time.monotonic() - begun
        so_far = load.seen.answered
        until(lambda: load.seen.answered > so_far + 20, SECONDS, "traffic after the refusal")
        body, page = said(node), node.metrics()
        until(lambda: java_servers(node) == 1, SECONDS, "the refused release's processes are gone")
        shelf.point(good)
        until(lambda: "refused" not in said(node), SECONDS, "the refusal goes away")
    assert not load.seen.failures, load.seen.failures[:3]
    assert {version for _, version in load.seen.counts} == {good}
    assert (body["ready"], body["version"]) == (True, good)
    assert value_of(page, counted) == before + 1
    assert f'skylift_refused_info{{name="{NAME}",reason="{kind}",version="{bad}"}} 1.0' in page
    assert f'skylift_model_info{{name="{NAME}",version="{good}"}} 1.0' in page
    assert _refusals(node, bad) == lines + 1
    assert serves(node, good)
    return Seen(what=f"refused ({kind}); 0 of {load.seen.answered:,} requests failed", recovery_seconds=took)


def exhausts(folder: Path) -> Seen:
    """Publish a release that takes memory without end while it is loaded."""
    _, node = shared()
    seen = refusal("memory", lambda shelf: shelf.otherwise_coded(EXHAUSTS_MEMORY))(folder)
    line = next(line for line in reversed(node.log) if "of memory while it was loaded" in line)
    took, allowed = (int(n) for n in re.findall(r"(\d+) MiB", line))
    assert allowed < took < 3 * allowed, line
    return Seen(what=f"killed at {took:,} MiB; {seen.what}", recovery_seconds=seen.recovery_seconds)


def seen_counter(node: RunningNode) -> int:
    """Return the counter of the pointer that a node saw last, as its metrics tell."""
    return int(node.metric(f'skylift_pointer_counter{{name="{NAME}"}}'))


def _refusals(node: RunningNode, version: str) -> int:
    return sum(f"refused {version} " in line for line in node.log)


FAULTS = (
    Fault(name="a pointer that somebody else signed", promise=PROMISE, inject=strange_pointer, times=5),
    Fault(name="an old pointer put back", promise=PROMISE, inject=old_pointer, times=5),
    Fault(
        name="a release that somebody else signed",
        promise=PROMISE,
        inject=refusal("signature", Shelf.strangers),
        times=5,
    ),
    Fault(
        name="one bit flipped in a published archive",
        promise=PROMISE,
        inject=refusal("changed", Shelf.changed_byte),
        times=5,
    ),
    Fault(
        name="a release that the gate refused",
        promise=PROMISE,
        inject=refusal("gate", Shelf.ungated),
        times=5,
    ),
    Fault(
        name="a release with a wrong golden answer",
        promise=PROMISE,
        inject=refusal("golden", lambda shelf: shelf.wrong_golden()),
        times=5,
    ),
    Fault(
        name="a predictor that raises on requests",
        promise=PROMISE,
        inject=refusal("golden", lambda shelf: shelf.otherwise_coded(RAISES_ON_REQUESTS)),
        times=5,
    ),
    Fault(
        name="a predictor that raises while it loads",
        promise=PROMISE,
        inject=refusal("load", lambda shelf: shelf.otherwise_coded(RAISES_AT_LOAD)),
        times=5,
    ),
    Fault(
        name="weights that cannot be loaded",
        promise=PROMISE,
        inject=refusal("load", Shelf.broken_weights),
        times=3,
        quick=False,
    ),
    Fault(name="a release that exhausts memory while it loads", promise=PROMISE, inject=exhausts, times=5),
)
