"""Thousands of strange requests through the front of a real node: each is answered with sense, and nothing breaks."""

from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlparse

from tests.faults import nodes
from tests.faults.fault import Fault, Seen
from tests.faults.requests import Request, body, request
from tests.serving import NAME, picture
from tests.serving_node import RunningNode

ANSWERS = {200, 204, 400, 403, 404, 405, 408, 413, 414, 415, 417, 422, 431, 501}
"""Everything else is a fault of ours; so is 503, as there are few clients."""

PARSERS_PAGE = b"<html><body><h1>"
"""What HAProxy's parser says to what is no HTTP; it cannot be told to say it in JSON."""

THREADS = 8
MOST_GROWTH = 96 * 1024 * 1024
"""Memory that a process may have taken more after the fuzz than after its warm-up: caches, arenas, the Java heap."""

JAVA_HEAP = 512 * 1024 * 1024
"""The node's --heap-mb: the model server may fill it once."""


class Line:
    """One TLS connection, opened again when it was closed."""

    def __init__(self, node: RunningNode) -> None:
        self._context = ssl.create_default_context(cafile=node.facts["ca"])
        address = urlparse(node.url)
        self._address = (address.hostname or "", address.port or 0)
        self._open: ssl.SSLSocket | None = None

    def ask(self, sent: Request) -> tuple[int, bytes]:
        """Send a request and return status and content of its answer; 0 where the connection was closed."""
        if self._open is None:
            plain = socket.create_connection(self._address, timeout=60)
            self._open = self._context.wrap_socket(plain, server_hostname=self._address[0])
        answer = http.client.HTTPResponse(self._open, method=sent.method)
        try:
            self._open.sendall(sent.content)
            if sent.malformed:  # what is still missing never comes
                self._open.settimeout(15)
            answer.begin()
            content = answer.read()
        except (http.client.HTTPException, OSError):
            self.close()
            return 0, b""
        if answer.will_close or sent.malformed:
            self.close()
        return answer.status, content

    def close(self) -> None:
        """Close it."""
        if self._open:
            self._open.close()
        self._open = None


def fuzz(requests: int, seed: int) -> Seen:
    """Send so many requests on several connections, after a warm-up of a fifth of them."""
    node = nodes.node(2)
    workers = {p.pid for p in node.workers()}
    asked_in_parallel(node, requests // 5, seed - 1)
    before = memory(node)
    statuses = asked_in_parallel(node, requests, seed)
    statuses += asked_by_http2(node, requests // 20, seed)
    after = memory(node)
    assert {p.pid for p in node.workers()} == workers, f"a worker died: {node.log[-5:]}"
    assert node.ready(), "the node is unready after the fuzz"
    with node.client() as client:
        good = client.post(f"/predictions/{NAME}", content=picture(1), headers={"content-type": "image/png"})
    assert good.status_code == 200, good.text
    assert not restarts(node), restarts(node)
    grown = {pid: after[pid] - before[pid] for pid in before}
    for pid, growth in grown.items():
        most = MOST_GROWTH if pid in workers else JAVA_HEAP
        assert growth < most, f"process {pid} grew by {growth / 2**20:.0f} MiB"
    told = ", ".join(f"{status or 'closed'} {count:,}" for status, count in sorted(statuses.items()))
    growths = ", ".join(f"{growth / 2**20:+.0f}" for growth in grown.values())
    return Seen(what=f"{statuses.total():,} requests: {told}; workers and JVM {growths} MiB")


def asked_in_parallel(node: RunningNode, requests: int, seed: int) -> Counter[int]:
    """Ask on several connections at a time; count the statuses, and assert that no answer is a fault."""
    with ThreadPoolExecutor(THREADS) as pool:
        seeds = [seed * 1000 + number for number in range(THREADS)]
        shares = list(pool.map(lambda one: asked(node, requests // THREADS, one), seeds))
    faults = [fault for _, found in shares for fault in found]
    assert not faults, f"{len(faults)} wrong answers: " + "\n".join(faults[:5])
    return sum((statuses for statuses, _ in shares), Counter[int]())


def asked(node: RunningNode, requests: int, seed: int) -> tuple[Counter[int], list[str]]:
    """Ask on one connection; return the statuses, and the answers that no client can understand."""
    rng, line, statuses, faults = random.Random(seed), Line(node), Counter[int](), list[str]()
    for number in range(requests):
        sent = request(rng)
        status, content = line.ask(sent)
        statuses[status] += 1
        if reason := fault(sent, status, content):
            faults.append(
                f"seed {seed}, {number}: {reason}: {sent.content[:400]!r} got {status} {content[:300]!r}"
            )
    line.close()
    return statuses, faults


def fault(sent: Request, status: int, content: bytes) -> str | None:
    """Return what is wrong with an answer, None where nothing is."""
    if status == 0:
        return None if sent.malformed else "no answer"
    if status not in ANSWERS:
        return "a status that is our fault"
    if sent.method == "HEAD" or status == 204 or (sent.malformed and content.startswith(PARSERS_PAGE)):
        return None
    try:
        told = json.loads(content, parse_constant=not_json)
    except ValueError:
        return "no JSON"
    return None if status == 200 or isinstance(told.get("error"), str) else "an error without a message"


def not_json(name: str) -> None:
    """Refuse what Python takes for a number and JSON does not know.

    Raises:
        ValueError: always.
    """
    raise ValueError(name)


def asked_by_http2(node: RunningNode, requests: int, seed: int) -> Counter[int]:
    """Ask by curl over one HTTP/2 connection."""
    rng, statuses = random.Random(seed), Counter[int]()
    words = ["curl", "-s", "-S", "--http2", "--cacert", node.facts["ca"]]
    for _ in range(requests):
        kind, content = body(rng)
        ask = [
            "--data-binary",
            "@-",
            "-H",
            f"content-type: {kind}",
            "-H",
            f"x-a: {'a' * rng.choice((1, 9000))}",
        ]
        shown = ["-w", "\n%{http_version} %{http_code}", node.predictions]
        done = subprocess.run([*words, *ask, *shown], input=content, capture_output=True, check=False)
        text, _, told = done.stdout.rpartition(b"\n")
        version, _, status = told.decode().partition(" ")
        statuses[int(status)] += 1
        assert version == "2", done
        assert int(status) in ANSWERS, f"{content[:200]!r} got {done}"
        json.loads(text)
    return statuses


def memory(node: RunningNode) -> dict[int, int]:
    """Return the resident bytes of the workers and of the JVM."""
    return {p.pid: p.memory_info().rss for p in [*node.workers(), nodes.java(node)]}


def restarts(node: RunningNode) -> list[str]:
    """Return the metric lines of processes that were started again."""
    return [
        x for x in node.metrics().splitlines() if x.startswith("skylift_restarts{") and not x.endswith(" 0.0")
    ]


PROMISE = "no 5xx, no worker death, no leak, JSON errors"
FAULTS = (
    Fault(
        name="500 strange requests to the API",
        promise=PROMISE,
        inject=lambda _: fuzz(500, seed=1),
        times=1,
    ),
    Fault(
        name="5,000 strange requests to the API",
        promise=PROMISE,
        inject=lambda _: fuzz(5000, seed=2),
        times=1,
        quick=False,
    ),
)
"""In the order of the table."""
