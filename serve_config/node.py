"""A serving node: verify the release, start the servers, prove them, serve, and drain.

python -m serve_config.node --models URI --name NAME --public-key PATH [--workers N] [--port 8443] …

Once the golden answers are proven it prints one JSON object on stdout. SIGTERM and SIGINT drain it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

from serve_config.certificate import make_certificate
from serve_config.describe import announcement, metadata
from serve_config.errors import InputError, ServeFailedError
from serve_config.front import Front, listen, require_haproxy
from serve_config.golden import golden_requests
from serve_config.health import Health
from serve_config.hold import Hold
from serve_config.metrics import Metrics, MetricsServer
from serve_config.pages import Page, PageServer
from serve_config.processes import adopt_orphans, log
from serve_config.render import Plan
from serve_config.settings import Settings, parse_settings
from serve_config.supervise import Kept
from serve_config.torchserve import TorchServe
from serve_config.verify import Release, fetch_release, load_public_key, read_pointer
from serve_config.workplace import Memory, free_ports, run_folder, usable_connections, usable_gpus

POLL_SECONDS = 0.02
"""Between two tries to reach a front that is starting."""


def main(words: list[str]) -> None:
    """Serve until a signal comes.

    Raises:
        InputError: a setting is wrong, a port is taken, HAProxy is missing.
        ServeFailedError: the release is not what was signed, or a server does not come up.
    """
    settings = parse_settings(words)
    haproxy = require_haproxy()
    key = load_public_key(settings.public_key)
    memory = Memory(settings.state, settings.name)
    pointer = read_pointer(settings.models, settings.name, key, memory.counter())
    with (
        run_folder() as run,
        listen(settings.host, settings.port, "--port") as public,
        listen(settings.metrics_host, settings.metrics_port, "--metrics-port") as metrics,
    ):
        release = fetch_release(settings.models, pointer, key, run / "store")
        memory.remember(pointer.counter)
        asyncio.run(Node(settings, release, run, haproxy, public, metrics).serve())


class Node:
    """The two servers of a node, and what keeps them honest."""

    def __init__(
        self,
        settings: Settings,
        release: Release,
        run: Path,
        haproxy: str,
        public: socket.socket,
        metrics: socket.socket,
    ) -> None:
        self._settings, self._release, self._public = settings, release, public
        self._announcement = announcement(
            release,
            host=settings.host,
            port=public.getsockname()[1],
            ca=make_certificate(run, settings.host),
            metrics=(settings.metrics_host, metrics.getsockname()[1]),
            workers=settings.worker_count(usable_gpus(settings.device)),
        )
        collected, limit = run / "collected.sock", settings.max_body_bytes
        self._pages = PageServer(self.page, collected, limit, settings.response_seconds)
        plan = make_plan(settings, release, run, public.fileno(), self._pages.port)
        self._front = Front(plan, haproxy)
        self._hold = Hold(
            run / "hold.sock",
            lambda: plan.ports.inference,
            at_once=plan.in_flight,
            seconds=settings.hold_seconds,
        )
        runtime, threads = release.model["runtime"], settings.threads
        self._server = TorchServe(
            plan, version=release.version, runtime=runtime, threads=threads, heap_mb=settings.heap_mb
        )
        golden, stuck = golden_requests(release.model), settings.stuck_seconds
        self._health = Health(
            self._server, golden, workers=plan.workers, stuck_seconds=stuck, serving=self._let_in
        )
        self._kept = (
            Kept("torchserve", self._server.start, started=self._prove, ended=self._unproven),
            Kept("haproxy", self._front.start, started=self._connect_front, ended=_nothing),
        )
        numbers = Metrics(self._health, release.name, release.version, self._kept)
        self._metrics = MetricsServer(metrics, numbers, plan.ports.metrics, run / "metrics.sock")

    async def serve(self) -> None:
        """Start, prove, announce, serve until a signal, drain; leave nothing behind whatever happens.

        Raises:
            ServeFailedError: a server does not come up, or ends again and again.
        """
        adopt_orphans()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        self._pages.start()
        self._metrics.start()
        await self._hold.start()
        torchserve, haproxy = (asyncio.create_task(kept.run()) for kept in self._kept)
        watch = asyncio.create_task(self._health.watch(self._settings.probe_seconds))
        # Following the pointer to a new release (a later issue) is one more task beside these.
        tasks = [asyncio.create_task(stop.wait()), torchserve, haproxy, watch]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            haproxy.cancel()
            await self._drain()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._stop_all()

    def page(self, path: str) -> Page | None:
        """Return the supervisor's page for a path: readiness, and the model's description."""
        reason = self._health.unready()
        ready: Page = (200, {"ready": True}) if reason is None else (503, {"ready": False, "error": reason})
        model = f"/v2/models/{self._release.name}"
        pages: dict[str, Page] = {
            "/ready": ready,
            "/v2/health/ready": ready,
            f"{model}/ready": ready,
            "/v2/health/live": (200, {"live": True}),
            model: (200, metadata(self._release)),
        }
        return pages.get(path)

    async def _prove(self) -> None:
        """TorchServe was started: let requests through once the model is proven, and say so the first time."""
        await self._health.prove(time.monotonic() + self._settings.start_seconds)
        self._hold.release()
        await self._connect_front()
        log(f"{self._health.expected_workers} workers give the golden answers of {self._release.version}")
        if not self._kept[0].restarts:
            print(json.dumps(self._announcement), flush=True)  # noqa: T201 - the node's result

    async def _unproven(self) -> None:
        """TorchServe ended: what comes is held until the next proof."""
        self._health.proven = False
        await self._let_in(False)

    async def _let_in(self, serving: bool) -> None:
        """Let requests through, or hold what comes."""
        self._hold.release() if serving else self._hold.hold()
        await self._set_serving(serving)

    async def _connect_front(self) -> None:
        """HAProxy was started, or something was proven: tell the front as soon as it takes commands."""
        while not await self._set_serving(self._health.proven):
            await asyncio.sleep(POLL_SECONDS)

    async def _set_serving(self, serving: bool) -> bool:
        try:
            await self._front.set_serving(serving)
        except (FileNotFoundError, ConnectionError):
            return False
        return True

    async def _drain(self) -> None:
        log("stopping: no new requests, waiting for those in flight")
        self._health.draining = True
        self._public.close()
        front = self._kept[1].child
        if front and not await self._front.stop(front, self._settings.drain_seconds + 1.0):
            log(f"requests were still in flight after {self._settings.drain_seconds} s")

    async def _stop_all(self) -> None:
        for kept in self._kept:
            if kept.child:
                await kept.child.kill()
        await self._hold.stop()
        await self._server.close()
        self._pages.stop()
        self._metrics.stop()


def make_plan(settings: Settings, release: Release, run: Path, listener: int, supervisor_port: int) -> Plan:
    """Return what the configuration files are rendered from."""
    gpus = usable_gpus(settings.device)
    return Plan(
        name=release.name,
        archive_version=release.archive_version,
        workers=settings.worker_count(gpus),
        gpus=gpus,
        batch_size=settings.batch_size,
        batch_delay_ms=settings.batch_delay_ms,
        response_seconds=settings.response_seconds,
        max_body_bytes=settings.max_body_bytes,
        max_connections=usable_connections(),
        max_queue=settings.max_queue,
        queue_seconds=settings.queue_seconds,
        drain_seconds=settings.drain_seconds,
        threads=max(1, len(os.sched_getaffinity(0)) // 4),
        listener=listener,
        run=run,
        store=run / "store",
        ports=free_ports(supervisor_port),
    )


async def _nothing() -> None:
    return


def run_node() -> None:
    """Run `main` on the command line's words and leave the process with the right exit code."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # until `serve` takes it over
    try:
        with contextlib.suppress(KeyboardInterrupt):
            main(sys.argv[1:])
    except (InputError, ServeFailedError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2 if isinstance(error, InputError) else 1)


if __name__ == "__main__":
    run_node()
