"""HAProxy as a process of ours: what the network reaches, on a socket that we hold open for it."""

from __future__ import annotations

import asyncio
import csv
import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from serve_config.errors import InputError
from serve_config.hold import Hold
from serve_config.processes import Child, log
from serve_config.render import Plan, render_haproxy

BACKLOG = 1024
"""Connections that the kernel holds while the front starts again."""

POLL_SECONDS = 0.02
"""Between two tries to reach a front that is starting, and two looks at a server that drains."""

SECONDS_OF = {"d": 86400, "h": 3600, "m": 60, "s": 1}
"""Of the units in which HAProxy tells ages."""

OLDEST_HAPROXY = (2, 5)
"""Older ones cannot look into an answer's body (`http-response wait-for-body`)."""


def require_haproxy() -> str:
    """Return the path of HAProxy.

    Raises:
        InputError: it is not installed, or too old.
    """
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise InputError("haproxy must be on PATH, not found; install it: sudo apt-get install haproxy")
    told = subprocess.run([found, "-v"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"version (\d+)\.(\d+)", told)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_HAPROXY:
        wanted = ".".join(map(str, OLDEST_HAPROXY))
        raise InputError(f"haproxy must be {wanted} or later, got `{told[:40].strip()}`; install a newer one")
    return found


def listen(host: str, port: int, option: str) -> socket.socket:
    """Bind a listening socket.

    Args:
        host: address or name to bind to.
        port: port, 0 for a free one.
        option: the setting to name in the error.

    Raises:
        InputError: the port is taken, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be bound on {host} ({error})"
        raise InputError(f"{option} {port} {reason}; choose another one, or 0 for a free one") from None
    listener.listen(BACKLOG)
    return listener


class Front:
    """The front of one plan; may be started again and again."""

    def __init__(self, plan: Plan, haproxy: str, hold: Hold) -> None:
        """Start nothing yet.

        Args:
            plan: what its configuration is rendered from.
            haproxy: the program.
            hold: where requests wait while no server is in service.
        """
        self._plan, self._run = plan, plan.run
        self._listener = plan.listener
        self._config = plan.run / "haproxy.cfg"
        self._haproxy = haproxy
        self._states = {"a": "maint", "b": "maint", "hold": "maint"}
        self._ports = {"a": plan.places[0].inference, "b": plan.places[1].inference}
        self._lock = asyncio.Lock()
        self._hold = hold

    async def start(self) -> Child:
        """Start it, with the model servers out of service."""
        self._config.write_text(render_haproxy(self._plan, holding=self._states["hold"] == "ready"))
        environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        command = [self._haproxy, "-db", "-q", "-f", str(self._config)]
        return await Child.start(
            command,
            folder=Path("/"),
            environment=environment,
            output=self._run / "haproxy.out",
            descriptors=(self._listener,),
        )

    async def connect(self) -> None:
        """It was started: tell it what the servers' states are, as soon as it takes commands."""
        while not await self._tell_all():
            await asyncio.sleep(POLL_SECONDS)

    async def set_state(self, server: str, state: str) -> None:
        """Put a server in or out of service; where the front is away it hears of it when it is back.

        Args:
            server: `a` or `b`.
            state: `ready`, `drain` (what it has is finished, nothing new) or `maint`.
        """
        self._states[server] = state
        serving = [port for name, port in self._ports.items() if self._states[name] == "ready"]
        if serving:
            self._states["hold"] = "ready"  # from the first time on: before, there is nothing to wait for
            self._hold.release(serving[-1])
        else:
            self._hold.hold()
        await self._tell_all()

    async def emptied(self, server: str, seconds: float) -> bool:
        """Wait until a server that drains has no request in flight; return whether that was so in time."""
        deadline, empty, port = time.monotonic() + seconds, 0, self._ports[server]
        while empty < 2:  # a request may be on its way from the choice of a server to the count
            if time.monotonic() > deadline:
                return False
            empty = 0 if await self._in_flight(server) + self._hold.passing(port) else empty + 1
            await asyncio.sleep(POLL_SECONDS)
        return True

    async def break_off(self, server: str, seconds: float) -> None:
        """End the requests that a server has had for longer than so many seconds: it has lost them."""
        try:
            sessions = sessions_of(await self._admin("show sess"), server)
            for session in [one for one, age in sessions.items() if age > seconds]:
                await self._admin(f"shutdown session {session}")
                log(
                    f"a request that {server} had for {sessions[session]} s was lost with a worker: broken off"
                )
        except (FileNotFoundError, ConnectionError):
            return  # the front is away, and its connections with it

    async def stop(self, child: Child, seconds: float) -> bool:
        """Take no more connections, finish what is in flight; return whether that was done in time."""
        child.signal(signal.SIGUSR1)
        try:
            await asyncio.wait_for(child.ended(), seconds)
        except TimeoutError:
            await child.kill()
            return False
        return True

    async def _tell_all(self) -> bool:
        async with self._lock:  # never an older state after a newer one
            try:
                for server, state in self._states.items():
                    command = f"set server torchserve/{server} state {state}"
                    if answer := await self._admin(command):
                        raise OSError(f"haproxy did not understand `{command}`: {answer}")
            except (FileNotFoundError, ConnectionError):
                return False
        return True

    async def _in_flight(self, server: str) -> int:
        """Return the requests that a server has or is to get; none where the front itself is away."""
        try:
            text = await self._admin("show stat torchserve 4 -1")
        except (FileNotFoundError, ConnectionError):
            return 0
        rows = csv.DictReader(text.removeprefix("# ").splitlines())
        return sum(int(row["scur"]) + int(row["qcur"]) for row in rows if row["svname"] == server)

    async def _admin(self, command: str) -> str:
        reader, writer = await asyncio.open_unix_connection(self._run / "admin.sock")
        writer.write(command.encode() + b"\n")
        await writer.drain()
        answer = (await reader.read()).decode().strip()
        writer.close()
        return answer


def sessions_of(shown: str, server: str) -> dict[str, int]:
    """Return the age in seconds of every session that a server has, by its id, from HAProxy's `show sess`."""
    ages: dict[str, int] = {}
    for line in shown.splitlines():
        session, _, words = line.partition(": ")
        facts = dict(word.split("=", 1) for word in words.split() if "=" in word)
        if facts.get("be") == "torchserve" and facts.get("srv") == server:
            parts = re.findall(r"([0-9]+)([dhms])", facts["age"])
            ages[session] = sum(int(count) * SECONDS_OF[unit] for count, unit in parts)
    return ages
