"""A serving node in the cloud: wait for a release, serve it, tell CloudWatch, and leave in order when a notice comes.

python -m serve_config.cloud, with the environment that user data wrote (serve_config/cloud_settings.py). The serving
itself is `serve_config.node`, a process below this one, which knows nothing of AWS.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from pathlib import Path

from serve_config import store
from serve_config.background import in_background
from serve_config.cloud_settings import CloudSettings, read_environment
from serve_config.errors import InputError, ServeFailedError, StoreAwayError
from serve_config.fleet import AWS_ERRORS, Clients, Fleet, clients, public_key, tried
from serve_config.instance import Instance, Notice, metadata_client
from serve_config.leave import leave
from serve_config.processes import Child, adopt_orphans, log
from serve_config.repair import Repair
from serve_config.report import Reporter
from serve_config.workplace import Memory, run_folder

WAIT_SECONDS = 15.0
"""Between two looks for the first release, or two questions for the key, give or take half: nodes boot together."""


def main() -> None:
    """Serve until a notice or a signal comes.

    Raises:
        InputError: the environment is not what user data should write, or a setting is refused by the node.
        ServeFailedError: this is no EC2 instance, or the node cannot serve.
    """
    settings = read_environment(os.environ)
    with run_folder() as run:
        asyncio.run(look_after(settings, clients(settings.region), run))


async def look_after(settings: CloudSettings, aws: Clients, run: Path) -> None:
    """Do all that the node's life in its group asks for.

    Args:
        settings: the node's.
        aws: the services.
        run: a folder that ends with us.
    """
    adopt_orphans()
    async with metadata_client() as metadata:
        instance = Instance(metadata)
        name = await instance.id()
        fleet = Fleet(settings, aws, name)
        noticed = asyncio.create_task(first_notice(instance))
        try:
            if await until_published(settings, noticed) and await until_key(settings, aws, run, noticed):
                await serve(settings, fleet, aws, run, noticed, name)
            notice = await noticed
            if notice.reason != "stop":
                await tried(fleet.let_go, "tell the group that this node has drained")
        finally:
            noticed.cancel()


async def first_notice(instance: Instance) -> Notice:
    """Wait for a notice of the metadata service, or for a signal: whichever is first."""
    signalled = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signalled.set)
    tasks = [asyncio.create_task(instance.noticed()), asyncio.create_task(signalled.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        found = tasks[0].result() if tasks[0].done() else None
        return found if isinstance(found, Notice) else Notice(reason="stop")
    finally:
        for task in tasks:
            task.cancel()


async def until_published(settings: CloudSettings, noticed: asyncio.Task[Notice]) -> bool:
    """Wait until the model has a release; return False where a notice came first."""
    uri = store.join(settings.models, settings.name, "current.json")
    said = False
    while not noticed.done():
        try:
            await in_background(lambda: store.read(uri))
        except FileNotFoundError:
            if not said:
                log(f"{uri} is not there yet: waiting for the first release")
            said = True
        except StoreAwayError as error:
            log(f"{uri} cannot be read: {error}")
        else:
            return True
        await pause(noticed)
    return False


async def until_key(settings: CloudSettings, aws: Clients, run: Path, noticed: asyncio.Task[Notice]) -> bool:
    """Fetch the key that releases are checked with; return False where a notice came first."""
    while not noticed.done():
        try:
            pem = await in_background(lambda: public_key(aws, settings.signing_key))
        except AWS_ERRORS as error:
            log(f"the public key of {settings.signing_key} cannot be read: {error}")
        else:
            key_file(run).write_bytes(pem)
            return True
        await pause(noticed)
    return False


async def serve(
    settings: CloudSettings,
    fleet: Fleet,
    aws: Clients,
    run: Path,
    noticed: asyncio.Task[Notice],
    instance: str,
) -> None:
    """Keep the node serving until a notice comes, then leave.

    Raises:
        InputError: the node refuses its settings: every other one would too.
    """
    repair = Repair(fleet, Memory(settings.state, settings.name))
    reporter = Reporter(settings, fleet, aws, nodes_file(run))
    reporting = asyncio.create_task(reporter.run())
    try:
        while not noticed.done():
            child = await Child.start(
                node_command(settings, run, instance),
                folder=Path.cwd(),
                environment=dict(os.environ),
                output=run / "node.log",
            )
            try:
                ended = asyncio.create_task(child.ended())
                await asyncio.wait([ended, noticed], return_when=asyncio.FIRST_COMPLETED)
                if not ended.done():
                    await leave(settings, fleet, child, noticed.result())
                    return
                if ended.result() == 2:  # its error code for bad input, said on stderr
                    raise InputError("the node refuses what user data told it; its line is above")
            finally:
                await child.kill()
            log(f"the node ended with code {ended.result()}: it is started again")
            await pause(noticed, await repair.failed())
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)


def node_command(settings: CloudSettings, run: Path, instance: str) -> list[str]:
    """Return the command line of the node below this process."""
    words = {
        "models": settings.models,
        "name": settings.name,
        "public-key": key_file(run),
        "host": "0.0.0.0",  # noqa: S104 - the security group lets the load balancer in, nobody else
        "port": settings.port,
        "metrics-port": settings.metrics_port,
        "response-seconds": settings.response_seconds,
        "keep-alive-seconds": settings.idle_seconds + 15,
        "drain-seconds": min(settings.response_seconds, 30),
        "state": settings.state,
        "node-id": instance,
        "nodes-file": nodes_file(run),
    }
    options = [word for name, value in words.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-m", "serve_config.node", *options]


def key_file(run: Path) -> Path:
    """Return where the public key lies."""
    return run / "signing.pub.pem"


def nodes_file(run: Path) -> Path:
    """Return where the ids of the group's nodes stand while a rollout is open."""
    return run / "nodes"


async def pause(noticed: asyncio.Task[Notice], seconds: float = WAIT_SECONDS) -> None:
    """Wait for a notice, at most so long, give or take half."""
    await asyncio.wait([noticed], timeout=seconds * random.uniform(0.5, 1.5))  # noqa: S311


def run_cloud() -> None:
    """Run `main` and leave the process with the right exit code."""
    begun = time.monotonic()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            main()
    except (InputError, ServeFailedError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2 if isinstance(error, InputError) else 1)
    log(f"served for {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    run_cloud()
