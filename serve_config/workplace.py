"""What a node needs of its machine: a folder, free ports, devices, and a memory of pointers seen."""

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
from pathlib import Path

from serve_config.errors import InputError
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
        for path in folder.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)  # TorchServe's working directory is read-only
        shutil.rmtree(folder, ignore_errors=True)


def free_ports(supervisor: int) -> Ports:
    """Return loopback ports that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(6)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        numbers = [int(one.getsockname()[1]) for one in sockets]
    return Ports(
        inference=numbers[0],
        management=numbers[1],
        metrics=numbers[2],
        grpc_inference=numbers[3],
        grpc_management=numbers[4],
        worker=numbers[5],
        supervisor=supervisor,
    )


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
    """The highest pointer counter seen for a model, in a folder that outlives the node (or nowhere)."""

    def __init__(self, folder: Path | None, name: str) -> None:
        self._path = None if folder is None else folder / f"{name}.counter"

    def counter(self) -> int:
        """Return the highest counter seen, 0 for none."""
        if self._path is None or not self._path.exists():
            return 0
        try:
            seen = self._path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--state holds an unreadable {self._path} ({error}); remove it") from None
        if not re.fullmatch(r"[0-9]{1,18}\s*", seen):
            raise InputError(f"--state holds a broken {self._path}; remove that file")
        return int(seen)

    def remember(self, counter: int) -> None:
        """Keep a counter."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
            partial.write_text(str(counter))
            partial.replace(self._path)
