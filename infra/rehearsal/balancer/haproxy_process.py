"""HAProxy as a process of ours: started, given another configuration without a loss, and spoken to while it runs."""

from __future__ import annotations

import csv
import io
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import IO

from infra.cli.errors import InputError

PATIENCE_SECONDS = 20.0
"""For a start or a reload: one takes 0.1 s on an idle core."""
POLL_SECONDS = 0.02
"""Between two tries to reach one that starts."""
ANSWER_SECONDS = 10.0
"""For a command's answer."""
SERVER_ROWS = "4"
"""Of `show stat`: those of servers."""


class HaproxyError(RuntimeError):
    """HAProxy refused a configuration or a command, or is away."""


def program() -> str:
    """Return the path of HAProxy.

    Raises:
        InputError: there is none; see infra/cli/haproxy.py.
    """
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise InputError("haproxy must be on PATH, not found; install it: sudo apt-get install haproxy")
    return found


class Haproxy:
    """One HAProxy: a master and its workers."""

    def __init__(self, run: Path, log: Path) -> None:
        """Start nothing yet.

        Args:
            run: folder of its files and sockets.
            log: file for what it says of itself.

        Raises:
            InputError: there is no HAProxy.
        """
        self._run, self._log, self._program = run, log, program()
        self._config = run / "haproxy.cfg"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, text: str) -> IO[bytes]:
        """Start it and return when it serves. Its requests' lines come out of what is returned.

        Raises:
            HaproxyError: it does not take the configuration, or does not serve.
        """
        self.stop()
        (self._run / "states").write_text("")
        self._check(text)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-W", "-f", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        if self._process.stdout is None:
            raise HaproxyError("haproxy must have a pipe for its log, got none; report this")
        self._wait_for_another("")
        return self._process.stdout

    def reload(self, text: str) -> None:
        """Give it another configuration. Requests under way are finished by the worker that has them.

        Raises:
            HaproxyError: it does not take it; the former one stays.
        """
        if self._process is None:
            raise HaproxyError("haproxy must run to be given another configuration, it does not; start it")
        self._check(text)
        (self._run / "states").write_text(self.tell("show servers state"))
        worker = self._worker()
        self._process.send_signal(signal.SIGUSR2)
        self._wait_for_another(worker)

    def stop(self) -> None:
        """End it and its workers, if it runs."""
        if self._process is None:
            return
        self._process.terminate()
        self._process.wait()
        self._process = None

    def tell(self, *commands: str) -> str:
        """Give commands, as its administrator, and return the answers.

        Raises:
            HaproxyError: it cannot be reached.
        """
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as admin:
                admin.settimeout(ANSWER_SECONDS)
                admin.connect(str(self._run / "admin.sock"))
                admin.sendall(";".join(commands).encode() + b"\n")
                return b"".join(iter(lambda: admin.recv(65536), b"")).decode()
        except OSError as error:
            raise HaproxyError(f"haproxy does not take commands: {error} (its log: {self._log})") from error

    def servers(self) -> dict[tuple[str, str], dict[str, str]]:
        """Return its statistics of every server, by backend and name."""
        table = self.tell(f"show stat -1 {SERVER_ROWS} -1").removeprefix("# ")
        return {(row["pxname"], row["svname"]): row for row in csv.DictReader(io.StringIO(table.strip()))}

    def _check(self, text: str) -> None:
        draft = self._config.with_suffix(".new")
        draft.write_text(text)
        done = subprocess.run(
            [self._program, "-c", "-f", str(draft)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise HaproxyError(f"haproxy refuses its configuration {draft}: {done.stderr.strip()[:500]}")
        draft.replace(self._config)

    def _worker(self) -> str:
        try:
            lines = self.tell("show info").splitlines()
        except HaproxyError:
            return ""
        return next((line.removeprefix("Pid: ") for line in lines if line.startswith("Pid: ")), "")

    def _wait_for_another(self, worker: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := self._worker()) in ("", worker):
            if not self.alive or time.monotonic() > deadline:
                said = (self._log.read_text(errors="replace").strip().splitlines() or ["nothing"])[-1]
                raise HaproxyError(f"haproxy does not serve, said `{said}` (its log: {self._log}, {found})")
            time.sleep(POLL_SECONDS)
