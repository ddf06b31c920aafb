"""What a node needs of its machine: a folder, ports, devices, and a memory of what it has served."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from serve_config.errors import InputError
from serve_config.processes import log
from serve_config.render import Ports

MOST_CONNECTIONS = 4096
"""Enough for one node, and 150 MB of buffers at the worst."""

LONGEST_SOCKET_PATH = 80
"""Unix sockets lie in the node's folder, and their paths may have 107 characters."""


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """Make the node's folder, readable by nobody else, and remove it with all that is in it."""
    folder = Path(tempfile.mkdtemp(prefix="skylift-node-"))
    if len(str(folder)) > LONGEST_SOCKET_PATH:
        folder = Path(shutil.move(folder, tempfile.mkdtemp(prefix="skylift-node-", dir="/tmp")))
    try:
        yield folder
    finally:
        remove_folder(folder)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it."""
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)  # TorchServe's working directory is read-only
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def held_ports() -> Iterator[Ports]:
    """Find free loopback ports for a model server, and hold them until the end.

    They stay bound without listening, so that no outgoing connection gets one of them; a server that asks for
    address reuse, as Java's do, can listen there all the same.
    """
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in fields(Ports)]
        for one in sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", 0))
        yield Ports(**{f.name: one.getsockname()[1] for f, one in zip(fields(Ports), sockets, strict=True)})


def usable_connections() -> int:
    """Return how many connections the front may take: each needs two of the files that a process may open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if hard == resource.RLIM_INFINITY else max(64, min(MOST_CONNECTIONS, hard // 4))


def usable_gpus(device: str) -> int:
    """Return how many GPUs to use: those that `nvidia-smi` lists, none for `cpu`.

    Raises:
        InputError: `cuda` is asked for and there is none.
    """
    if device == "cpu":
        return 0
    count = 0
    if shutil.which("nvidia-smi"):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
        count = listed.stdout.count("GPU ") if listed.returncode == 0 else 0
    if device == "cuda" and count == 0:
        raise InputError("--device cuda needs a GPU, nvidia-smi lists none; use --device cpu")
    return count


class Memory:
    """What a node knows of a model beyond its own life: the highest pointer counter, and the last proven release."""

    def __init__(self, folder: Path | None, name: str) -> None:
        """Read what is known.

        Args:
            folder: where it is kept; None: nowhere, it ends with the node.
            name: the model's name.

        Raises:
            InputError: what the folder holds is broken.
        """
        self._folder, self._name = folder, name
        counter = self._read("counter", "0")
        if not re.fullmatch(r"[0-9]{1,18}", counter):
            raise InputError(f"--state holds a broken {self._path('counter')}; remove that file")
        self.counter = int(counter)
        """The highest counter seen, 0 for none."""
        self.good = self._read("good", "")
        """The version that was proven last, empty for none."""

    def remember_counter(self, counter: int) -> None:
        """Keep the counter of a pointer that is signed and not older than those before."""
        if counter != self.counter:
            self.counter = counter
            self._write("counter", str(counter))

    def remember_good(self, version: str) -> None:
        """Keep the version that has just been proven."""
        if version != self.good:
            self.good = version
            self._write("good", version)

    def _path(self, what: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{self._name}.{what}"

    def _read(self, what: str, default: str) -> str:
        path = self._path(what)
        if path is None or not path.exists():
            return default
        try:
            return path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--state holds an unreadable {path} ({error}); remove it") from None

    def _write(self, what: str, text: str) -> None:
        path = self._path(what)
        if path is None:
            return
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(text)
            partial.replace(path)
        except OSError as error:  # serving goes on without it
            log(f"--state cannot keep {path} ({error.strerror}); make room there")
