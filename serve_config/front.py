"""HAProxy as a process of ours: what the network reaches, on a socket that we hold open for it."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from serve_config.errors import InputError
from serve_config.processes import Child
from serve_config.render import Plan, render_haproxy

BACKLOG = 1024
"""Connections that the kernel holds while the front starts again."""


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

    def __init__(self, plan: Plan, haproxy: str) -> None:
        self._plan, self._run = plan, plan.run
        self._listener = plan.listener
        self._config = plan.run / "haproxy.cfg"
        self._haproxy = haproxy
        self._holding = False

    async def start(self) -> Child:
        """Start it, with the model server out of service."""
        self._config.write_text(render_haproxy(self._plan, holding=self._holding))
        environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        command = [self._haproxy, "-db", "-q", "-f", str(self._config)]
        return await Child.start(
            command,
            folder=Path("/"),
            environment=environment,
            output=self._run / "haproxy.out",
            descriptors=(self._listener,),
        )

    async def set_serving(self, serving: bool) -> None:
        """Let requests through to the model server, or hold them; before the first time they are answered 503.

        Raises:
            OSError: the front is not up (yet).
        """
        self._holding = self._holding or serving
        await self._admin(f"set server torchserve/node state {'ready' if serving else 'maint'}")
        if self._holding:
            await self._admin("set server torchserve/hold state ready")

    async def stop(self, child: Child, seconds: float) -> bool:
        """Take no more connections, finish what is in flight; return whether that was done in time."""
        child.signal(signal.SIGUSR1)
        try:
            await asyncio.wait_for(child.ended(), seconds)
        except TimeoutError:
            await child.kill()
            return False
        return True

    async def _admin(self, command: str) -> None:
        reader, writer = await asyncio.open_unix_connection(self._run / "admin.sock")
        writer.write(command.encode() + b"\n")
        await writer.drain()
        answer = (await reader.read()).decode().strip()
        writer.close()
        if answer:
            raise OSError(f"haproxy did not understand `{command}`: {answer}")
