"""What the operator can set on a serving node: one frozen object, filled from the command line."""

from __future__ import annotations

import argparse
import ast
import os
import re
import socket
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from serve_config.errors import InputError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""A model's name: it becomes a path of the API and a word of two configuration files."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One serving node."""

    models: str
    """URI of the model store (a path, `file://` or `s3://`)."""
    name: str
    """The model to serve."""
    public_key: Path
    """PEM file of the ECDSA P-256 key that releases are signed with."""
    workers: int = 0
    """Worker processes in all, 1 to 256. 0: `workers_per_device` for each device."""
    workers_per_device: int = 0
    """Worker processes for each GPU (or for the CPU), 0 to 64. 0: one a GPU, or one for each CPU core's `threads`."""
    host: str = "127.0.0.1"
    """Address that the HTTPS front binds to; 0.0.0.0 for all."""
    port: int = 8443
    """Port of the HTTPS front, 0 to 65535. 0: a free one."""
    metrics_host: str = "127.0.0.1"
    """Address that the metrics bind to, in plain HTTP."""
    metrics_port: int = 9443
    """Port of the Prometheus metrics, 0 to 65535. 0: a free one."""
    device: str = "auto"
    """auto, cpu or cuda. auto: cuda where `nvidia-smi` lists a GPU."""
    threads: int = 1
    """CPU threads of a worker, 1 to 256; more workers beat more threads."""
    batch_size: int = 8
    """Most requests that a worker answers at once, 1 to 1024."""
    batch_delay_ms: int = 5
    """Milliseconds that a worker waits for a batch to fill, 1 to 10000."""
    max_body_bytes: int = 6 * 1024 * 1024
    """Largest request body, 1024 bytes to 1 GiB; a larger one is answered 413."""
    max_queue: int = 256
    """Requests that may wait for a worker, 1 to 65536; one more is answered 503 at once."""
    queue_seconds: int = 5
    """How long a request may wait for a worker, 1 to 600 s; then it is answered 503."""
    hold_seconds: int = 60
    """How long a request may wait while the model server is started again, 1 to 600 s; then it is answered 503."""
    response_seconds: int = 120
    """How long an answer may take, 1 to 3600 s; then the client gets 504."""
    keep_alive_seconds: int = 75
    """How long an unused connection is kept, 1 to 4000 s: longer than a balancer in front keeps its own (60 s)."""
    probe_seconds: int = 2
    """Seconds between two rounds of golden requests, 1 to 60."""
    stuck_seconds: int = 8
    """A worker that shows no progress for so long is stuck (not ready, replaced), 3 to 3600 s."""
    drain_seconds: int = 30
    """How long requests in flight may take when the node stops, 0 to 3600 s."""
    start_seconds: int = 300
    """How long the node may take to prove itself, 10 to 3600 s."""
    heap_mb: int = 512
    """Java heap of TorchServe, 64 to 65536 MiB."""
    state: Path | None = None
    """Folder that outlives the node: the highest pointer counter seen, and the release proven last. None: nothing
    is kept."""
    follow_seconds: int = 5
    """Seconds between two looks at the pointer, 1 to 3600, give or take a fifth: nodes must not look together."""
    node_id: str = ""
    """What an open rollout knows this node by. Empty: the host's name."""
    nodes: str = ""
    """Ids of all nodes, with commas between them: a percentage is then of their number, rounded up. Empty: each node
    decides by the hash of its own id, and the share is met on average."""
    nodes_file: Path | None = None
    """File with the ids of all nodes, one a line, kept by who knows them. While a rollout is open and the file is not
    there, this node changes nothing. None: `nodes` counts."""
    memory_mb: int = 0
    """Memory that model servers may use together, MiB, 0 to 16777216. 0: what the machine and its group have."""
    memory_reserve_mb: int = 256
    """Memory that a release being loaded must leave free, MiB, 0 to 1048576."""

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            InputError: names the setting, its rule, the value and what to do.
        """
        if not NAME.fullmatch(self.name):
            raise InputError(
                f"--name must be letters, digits, `_`, `.` and `-`, got `{self.name}`; see `skylift releases`"
            )
        if self.device not in ("auto", "cpu", "cuda"):
            raise InputError(
                f"--device must be auto, cpu or cuda, got `{self.device}`; leave it out for auto"
            )
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                option = name.replace("_", "-")
                raise InputError(
                    f"--{option} must be between {low} and {high}, got {value}; choose one of these"
                )

        if self.nodes and self.own_id not in self.node_ids:
            raise InputError(
                f"--nodes must name this node, `{self.own_id}` is not in `{self.nodes}`; add it, or set --node-id"
            )

    @property
    def own_id(self) -> str:
        """This node's id."""
        return self.node_id or socket.gethostname()

    @property
    def node_ids(self) -> tuple[str, ...]:
        """The ids of all nodes as they are now, none where they were not told."""
        told = self.nodes
        if self.nodes_file:
            told = self.nodes_file.read_text() if self.nodes_file.exists() else ""
        return tuple(one.strip() for one in re.split(r"[,\n]", told) if one.strip())

    def worker_count(self, gpus: int) -> int:
        """Return how many workers to start on a machine with so many usable GPUs (0: on the CPU)."""
        each = self.workers_per_device or (1 if gpus else max(1, _cores() // self.threads))
        return self.workers or each * max(1, gpus)


RANGES = {
    "workers": (0, 256),
    "workers_per_device": (0, 64),
    "port": (0, 65535),
    "metrics_port": (0, 65535),
    "threads": (1, 256),
    "batch_size": (1, 1024),
    "batch_delay_ms": (1, 10000),
    "max_body_bytes": (1024, 1 << 30),
    "max_queue": (1, 65536),
    "queue_seconds": (1, 600),
    "hold_seconds": (1, 600),
    "response_seconds": (1, 3600),
    "keep_alive_seconds": (1, 4000),
    "probe_seconds": (1, 60),
    "stuck_seconds": (3, 3600),
    "drain_seconds": (0, 3600),
    "start_seconds": (10, 3600),
    "heap_mb": (64, 65536),
    "follow_seconds": (1, 3600),
    "memory_mb": (0, 1 << 24),
    "memory_reserve_mb": (0, 1 << 20),
}
"""Lowest and highest value of each number."""


def parse_settings(words: list[str]) -> Settings:
    """Return the settings that a command line asks for.

    Raises:
        InputError: an unknown or missing option, or a value out of range.
    """
    parser = _Parser(
        prog="serve_config.node", description="Serve a model's current release.", allow_abbrev=False
    )
    described = _descriptions()
    for setting in fields(Settings):
        required = setting.name in ("models", "name", "public_key")
        kind = {"int": int, "str": str}.get(str(setting.type), Path)
        default = None if required else setting.default
        parser.add_argument(
            "--" + setting.name.replace("_", "-"),
            type=kind,
            required=required,
            default=default,
            help=described[setting.name].replace("%", "%%") + ("" if required else f" Default: {default}"),
        )
    return Settings(**vars(parser.parse_args(words)))


def _descriptions() -> dict[str, str]:
    """Return the docstring of every field, as it stands in this file."""
    body = next(
        node.body
        for node in ast.parse(Path(__file__).read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "Settings"
    )
    return {
        named.target.id: text.value.value
        for named, text in pairwise(body)
        if isinstance(named, ast.AnnAssign) and isinstance(named.target, ast.Name)
        if isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


class _Parser(argparse.ArgumentParser):
    """argparse that raises our error instead of printing a usage text."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see `python -m serve_config.node --help`")


def _cores() -> int:
    return len(os.sched_getaffinity(0))
