"""The configuration files of the two servers. Pure: facts in, text out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from string import Template

from serve_config.hold import MOST_HELD

TEMPLATES = Path(__file__).parent
"""Where `config.properties` and `haproxy.cfg` lie."""

PROBE_SLOTS = 8
"""Places in TorchServe's queue that the front never fills: the golden requests' own."""

BUFFER_BYTES = 1 << 16
"""The front's buffer, two a request at work; three quarters are the body's, the rest is for headers."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A request that the front answers itself."""

    name: str
    """How the rules of haproxy.cfg call it."""
    status: int
    """The HTTP status."""
    message: str
    """What the client reads: the rule, and the next step."""
    condition: str
    """The ACLs that make it one, of those in haproxy.cfg."""
    headers: str = ""
    """More headers, in HAProxy's words."""

    @property
    def reply(self) -> str:
        """The reply in HAProxy's words."""
        body = json.dumps({"error": self.message}, ensure_ascii=False)
        headers = f" {self.headers}" if self.headers else ""
        return f"return status {self.status} content-type application/json string '{body}'{headers}"


RETRY = "hdr Retry-After 1"
REFUSALS = (
    Refusal(
        name="model",
        status=404,
        message="this node serves the model `$name` only; see /v2/models/$name",
        condition="model !predict !status",
    ),
    Refusal(
        name="path",
        status=404,
        message="path must be /predictions/$name, got another; see /v2/models/$name",
        condition="!predict !status",
    ),
    Refusal(
        name="post",
        status=405,
        message="method must be POST here; send the input as the body",
        condition="predict !METH_POST",
        headers="hdr Allow POST",
    ),
    Refusal(
        name="get",
        status=405,
        message="method must be GET here; leave the body out",
        condition="status !METH_GET",
        headers="hdr Allow GET",
    ),
    Refusal(
        name="size",
        status=413,
        message="body must have at most $max_body_bytes bytes; send a smaller one",
        condition="large",
    ),
    Refusal(
        name="type",
        status=415,
        message="content-type must be application/json, text/plain, application/octet-stream or image/*; "
        "name the one that you send",
        condition="predict !typed",
    ),
    Refusal(
        name="unready",
        status=503,
        message="the node is not ready; try again",
        condition="predict { nbsrv(torchserve) eq 0 }",
        headers=RETRY,
    ),
    Refusal(
        name="overload",
        status=503,
        message="too many requests are waiting; try again in a second",
        condition="predict { queue(torchserve) ge $max_queue }",
        headers=RETRY,
    ),
)
"""In the order in which they are asked; the first that applies is the answer."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Loopback ports of one TorchServe, all different."""

    inference: int
    """Predictions."""
    management: int
    """State of the workers."""
    metrics: int
    """Prometheus."""
    grpc_inference: int
    """It opens it whether wanted or not."""
    grpc_management: int
    """It opens it whether wanted or not."""
    worker: int
    """Number in the first worker's socket name."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a release runs on the node. There are two: a release is loaded beside the one that is served."""

    server: str
    """Its name in haproxy.cfg."""
    ports: Ports
    """Who listens where."""
    folder: Path
    """All files of the release that runs there now, and of its processes."""

    @property
    def store(self) -> Path:
        """TorchServe's model store."""
        return self.folder / "store"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that the configuration of one node depends on."""

    name: str
    """The model's name."""
    workers: int
    """Worker processes, 1 or more."""
    gpus: int
    """GPUs that workers are spread over; 0: they run on the CPU."""
    batch_size: int
    """Most requests in a batch."""
    batch_delay_ms: int
    """Milliseconds to wait for a batch to fill."""
    response_seconds: int
    """How long a request may take in the model server."""
    keep_alive_seconds: int
    """How long an unused connection is kept: longer than a balancer in front keeps its own."""
    max_body_bytes: int
    """Largest request body."""
    max_connections: int
    """Connections that the front takes; more wait in the kernel."""
    max_queue: int
    """Requests that may wait in the front."""
    queue_seconds: int
    """How long one may wait there."""
    drain_seconds: int
    """How long requests in flight may take when the front stops."""
    threads: int
    """Threads of the front."""
    listener: int
    """File descriptor of the public socket, inherited by the front."""
    run: Path
    """Folder of sockets and certificates."""
    supervisor: int
    """Loopback port of the supervisor's pages: readiness and the model's description."""
    places: tuple[Ports, Ports]
    """Loopback ports of the servers `a` and `b` in haproxy.cfg."""

    @property
    def in_flight(self) -> int:
        """Requests that the front hands on to a release: a batch for every worker, and the next one ready."""
        return 2 * self.workers * self.batch_size


def render_properties(plan: Plan, place: Place, archive_version: str) -> str:
    """Return TorchServe's config.properties for the archive in a place, by the version inside the archive."""
    model = {
        "defaultVersion": True,
        "marName": "model.mar",
        "minWorkers": plan.workers,
        "maxWorkers": plan.workers,
        "batchSize": plan.batch_size,
        "maxBatchDelay": plan.batch_delay_ms,
    }
    return _fill(
        "config.properties",
        {},
        inference_port=place.ports.inference,
        management_port=place.ports.management,
        metrics_port=place.ports.metrics,
        grpc_inference_port=place.ports.grpc_inference,
        grpc_management_port=place.ports.grpc_management,
        worker_port=place.ports.worker,
        store=place.store,
        models=json.dumps({plan.name: {archive_version: model}}),
        gpus=plan.gpus,
        in_flight=plan.in_flight,
        # What was held comes beside what the front hands on.
        queue=2 * plan.in_flight + PROBE_SLOTS,
        max_body_bytes=plan.max_body_bytes,
    )


def render_haproxy(plan: Plan, *, holding: bool) -> str:
    """Return the front's haproxy.cfg; it holds requests from the start where the node was proven before."""
    return _fill(
        "haproxy.cfg",
        {
            "conditions": [
                f"http-request set-var(txn.refusal) str({one.name}) if !refused {one.condition}"
                for one in REFUSALS
            ],
            "refusals": [
                f"http-request {one.reply} if small sized {{ var(txn.refusal) -m str {one.name} }}"
                for one in REFUSALS
            ],
            "drained": [
                f"http-response {one.reply} if {{ var(txn.refusal) -m str {one.name} }}" for one in REFUSALS
            ],
        },
        name=plan.name,
        threads=plan.threads,
        drain_seconds=max(1, plan.drain_seconds),
        queue_seconds=plan.queue_seconds,
        response_seconds=plan.response_seconds,
        keep_alive_seconds=plan.keep_alive_seconds,
        max_body_bytes=plan.max_body_bytes,
        max_connections=plan.max_connections,
        max_queue=plan.max_queue,
        in_flight=plan.in_flight,
        most_held=MOST_HELD,
        buffer_bytes=BUFFER_BYTES,
        buffered_bytes=BUFFER_BYTES // 4 * 3,
        hold="" if holding else "disabled",
        listener=plan.listener,
        run=plan.run,
        port_a=plan.places[0].inference,
        port_b=plan.places[1].inference,
        supervisor_port=plan.supervisor,
    )


def _fill(template: str, rules: dict[str, list[str]], **words: object) -> str:
    text = (TEMPLATES / template).read_text()
    for name, lines in rules.items():
        text = text.replace(f"${name}\n", "".join(f"    {line}\n" for line in lines))
    return Template(text).substitute(words)
