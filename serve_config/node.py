"""A serving node: verify the release, start the servers, prove them, serve, follow the pointer, and drain.

python -m serve_config.node --models URI --name NAME --public-key PATH [--workers N] [--port 8443] …

Once the golden answers are proven it prints one JSON object on stdout. SIGUSR1 makes it unready while it serves on,
SIGTERM and SIGINT drain it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from serve_config.certificate import make_certificate
from serve_config.describe import announcement, metadata
from serve_config.errors import InputError, ServeFailedError
from serve_config.follow import Follower
from serve_config.front import Front, listen, require_haproxy
from serve_config.hold import Hold
from serve_config.metrics import Metrics, MetricsServer
from serve_config.pages import Page, PageServer
from serve_config.processes import adopt_orphans, log
from serve_config.refusals import Refusals
from serve_config.render import Plan, Ports
from serve_config.rollout import Rollout
from serve_config.settings import Settings, parse_settings
from serve_config.slot import Slot
from serve_config.supervise import Kept
from serve_config.verify import load_public_key
from serve_config.workplace import Memory, held_ports, run_folder, usable_connections, usable_gpus


def main(words: list[str]) -> None:
    """Serve until a signal comes.

    Raises:
        InputError: a setting is wrong, a port is taken, HAProxy is missing.
        ServeFailedError: the release is not what was signed, or a server does not come up.
    """
    settings = parse_settings(words)
    haproxy = require_haproxy()
    key = load_public_key(settings.public_key)
    memory, refusals = Memory(settings.state, settings.name), Refusals()
    follower = Follower(settings, key, memory, refusals)
    follower.first_look()
    with (
        run_folder() as run,
        listen(settings.host, settings.port, "--port") as public,
        listen(settings.metrics_host, settings.metrics_port, "--metrics-port") as metrics,
        held_ports() as one,
        held_ports() as other,
    ):
        node = Node(settings, run, public, metrics, refusals)
        plan = make_plan(settings, run, public.fileno(), node.pages.port, (one, other))
        hold = Hold(run / "hold.sock", at_once=plan.in_flight, seconds=settings.hold_seconds)
        front = Front(plan, haproxy, hold)
        asyncio.run(node.serve(front, hold, Rollout(settings, key, plan, front, memory), follower))


class Node:
    """The front and the served release, and what keeps them honest."""

    def __init__(
        self, settings: Settings, run: Path, public: socket.socket, metrics: socket.socket, refusals: Refusals
    ) -> None:
        """Take over the sockets.

        Args:
            settings: the operator's.
            run: the node's folder.
            public: listens for the front.
            metrics: listens for the metrics.
            refusals: what is not served.
        """
        self._settings, self._run, self._refusals = settings, run, refusals
        self._public, self._metrics = public, metrics
        collected, limit = run / "collected.sock", settings.max_body_bytes
        self.pages = PageServer(self.page, collected, limit, settings.response_seconds)
        """The supervisor's own pages; the front needs their port."""
        self._certificate = make_certificate(run, settings.host)
        self._rollout: Rollout | None = None
        self._leaving = False

    async def serve(self, front: Front, hold: Hold, rollout: Rollout, follower: Follower) -> None:
        """Start, prove, announce, serve until a signal, drain; leave nothing behind whatever happens.

        Raises:
            ServeFailedError: a server does not come up, or ends again and again.
        """
        adopt_orphans()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._leave)
        self._rollout = rollout
        kept = Kept("haproxy", front.start, started=front.connect, ended=_nothing)
        numbers = Metrics(self._settings.name, rollout, self._refusals, kept, follower)
        metrics = MetricsServer(self._metrics, numbers, self._run / "metrics.sock")
        self.pages.start()
        metrics.start()
        await hold.start()
        haproxy = asyncio.create_task(kept.run())
        models = asyncio.create_task(self._serve_models(rollout, follower))
        tasks = [asyncio.create_task(stop.wait()), haproxy, models]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            haproxy.cancel()
            await self._drain(front, kept)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if kept.child:
                await kept.child.kill()
            await rollout.close()
            await hold.stop()
            self.pages.stop()
            metrics.stop()

    def page(self, path: str) -> Page | None:
        """Return the supervisor's page for a path: readiness, and the served model's description."""
        served, refused = self._rollout.served if self._rollout else None, self._refusals.current
        reason = self._unready()
        ready: Page = (200, {"ready": True}) if reason is None else (503, {"ready": False, "error": reason})
        more: dict[str, Any] = {"version": served.release.version} if served else {}
        if refused:
            more["refused"] = {"version": refused.version, "reason": refused.reason}
        model = f"/v2/models/{self._settings.name}"
        pages: dict[str, Page] = {
            "/ready": (ready[0], {**ready[1], **more}),
            "/v2/health/ready": ready,
            f"{model}/ready": ready,
            "/v2/health/live": (200, {"live": True}),
            model: (200, metadata(served.release)) if served else ready,
        }
        return pages.get(path)

    def _leave(self) -> None:
        log("leaving: not ready from now on, requests that come are served")
        self._leaving = True

    def _unready(self) -> str | None:
        if self._leaving:
            return "the node is leaving"
        return self._rollout.unready() if self._rollout else "the node is starting"

    async def _serve_models(self, rollout: Rollout, follower: Follower) -> None:
        self._announce(await follower.boot(rollout))
        await follower.follow(rollout)

    def _announce(self, slot: Slot) -> None:
        said = announcement(
            slot.release,
            host=self._settings.host,
            port=self._public.getsockname()[1],
            ca=self._certificate,
            metrics=(self._settings.metrics_host, self._metrics.getsockname()[1]),
            workers=slot.health.expected_workers,
        )
        print(json.dumps(said), flush=True)  # noqa: T201 - the node's result

    async def _drain(self, front: Front, kept: Kept) -> None:
        log("stopping: no new requests, waiting for those in flight")
        if self._rollout and self._rollout.served:
            self._rollout.served.health.draining = True
        self._public.close()
        if kept.child and not await front.stop(kept.child, self._settings.drain_seconds + 1.0):
            log(f"requests were still in flight after {self._settings.drain_seconds} s")


def make_plan(
    settings: Settings, run: Path, listener: int, supervisor: int, places: tuple[Ports, Ports]
) -> Plan:
    """Return what the configuration files are rendered from."""
    gpus = usable_gpus(settings.device)
    return Plan(
        name=settings.name,
        workers=settings.worker_count(gpus),
        gpus=gpus,
        batch_size=settings.batch_size,
        batch_delay_ms=settings.batch_delay_ms,
        response_seconds=settings.response_seconds,
        keep_alive_seconds=settings.keep_alive_seconds,
        max_body_bytes=settings.max_body_bytes,
        max_connections=usable_connections(),
        max_queue=settings.max_queue,
        queue_seconds=settings.queue_seconds,
        drain_seconds=settings.drain_seconds,
        threads=max(1, len(os.sched_getaffinity(0)) // 4),
        listener=listener,
        run=run,
        supervisor=supervisor,
        places=places,
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
