"""Two hosts that train: with the node's program, or with plain torchrun and a loop that starts it again."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

import boto3
import psutil

from infra.rehearsal.emulator import start_emulator
from model_code import store
from tests import small_data
from tests.conftest import free_port
from tests.metadata import MetadataServer
from tests.training_group import REGION, ROOT, Group, instances, make_group

ADDRESSES = ("127.20.9.1", "127.20.9.2")
"""Plain torchrun's two hosts; the first one's is the rendezvous."""
LOOP = 'while ! "$@"; do sleep 1; done'
"""A host's loop: what ends badly is started again."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What both ways of training share."""

    folder: Path
    """For logs and data."""
    bucket: str
    """URI."""
    shards: str
    """URI of the data."""
    settings: tuple[str, ...]
    """Of the training."""

    @property
    def recipe(self) -> str:
        """The recipe's name."""
        return f"{Path(__file__).with_name('probed_recipe.py')}:probed"


class Hosts(Protocol):
    """Two hosts that train one run."""

    probe: Path
    """Folder where the trainers write what they did."""

    def start(self) -> None:
        """Boot both."""

    def replace(self, which: int) -> None:
        """Let a host vanish, and boot a machine in its place."""

    def close(self) -> None:
        """End all."""


@contextmanager
def world(folder: Path, every: int) -> Iterator[World]:
    """Start an emulated AWS with a bucket, and write the data.

    Args:
        folder: for logs and data.
        every: steps between two checkpoints.
    """
    with start_emulator(folder / "aws") as aws:
        environment = {**aws.credentials(), "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
        with patch.dict(os.environ, environment):
            os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a machine compiles what it imports once
            name = "skylift-goodput-" + hashlib.sha256(str(folder).encode()).hexdigest()[:8]
            boto3.client("s3", REGION).create_bucket(Bucket=name)
            (folder / "data").mkdir()
            settings = {"steps": 1_000_000, "checkpoint_every": every, "evaluate_every": 1_000_000}
            yield World(
                folder=folder,
                bucket=f"s3://{name}",
                shards=small_data.digits(folder / "data"),
                settings=tuple(f"train.{key}={value}" for key, value in settings.items()),
            )


def _probed(folder: Path) -> dict[str, str]:
    folder.mkdir(parents=True)
    return {"SKYLIFT_PROBE": str(folder), "CUDA_VISIBLE_DEVICES": ""}


class NodeHosts:
    """Two instances of an Auto Scaling group, each with the node's program."""

    def __init__(self, aws: World, folder: Path) -> None:
        """Make the group; boot nobody.

        Args:
            aws: where.
            folder: for the logs.
        """
        self.probe = folder / "probe"
        name = f"train-{folder.name}"
        cidr = f"127.{21 + len(name) % 8}.1.0/24"
        make_group(name, 2, cidr)
        environment = {
            "SKYLIFT_GROUP": name,
            "SKYLIFT_METRICS_NAMESPACE": f"Skylift/{name}",
            "SKYLIFT_MODELS": store.join(aws.bucket, "models"),
            "SKYLIFT_NAME": "digits",
            "SKYLIFT_SIGNING_KEY": "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000",
            "SKYLIFT_WORK": store.join(aws.bucket, "work"),
            "SKYLIFT_DATA": store.join(aws.bucket, "data"),
            "SKYLIFT_SOURCE": aws.shards,
            "SKYLIFT_RECIPE": aws.recipe,
            "SKYLIFT_SETTINGS": json.dumps(aws.settings),
            "SKYLIFT_RUN_ID": f"run-{folder.name}",
            "SKYLIFT_SERVE_BUNDLE": "file:///none",
            "SKYLIFT_SERVE_BUNDLE_SHA256": "0" * 64,
            "SKYLIFT_SERVE_GROUP": f"{name}-serve",
            "SKYLIFT_SERVE_FLOOR": "0",
            "SKYLIFT_MIN_NODES": "1",
            "SKYLIFT_NODES": "2",
            "SKYLIFT_WAIT_FOR_FULL_SECONDS": "0",
            "SKYLIFT_PROCESSES": "1",
            "SKYLIFT_POLL_SECONDS": "1",
            "SKYLIFT_RENDEZVOUS_PORT": str(free_port()),
            **_probed(self.probe),
        }
        self._group, self._name = Group(environment=environment, metadata=MetadataServer(), logs=folder), name
        self._places: list[str] = []

    def start(self) -> None:
        """Boot both."""
        self._places = instances(self._name)
        for instance in self._places:
            self._group.boot(instance)

    def replace(self, which: int) -> None:
        """Let an instance vanish; the group has another one at once, which boots."""
        self._group.vanish(self._places[which])
        (fresh,) = set(instances(self._name)) - set(self._places)
        self._places[which] = fresh
        self._group.boot(fresh)

    def close(self) -> None:
        """End all."""
        self._group.close()


class TorchrunHosts:
    """Two hosts with plain torchrun: elastic from one to two, started again by a loop."""

    def __init__(self, aws: World, folder: Path) -> None:
        """Start nothing.

        Args:
            aws: where.
            folder: for the logs.
        """
        self.probe, self._folder = folder / "probe", folder
        self._environment = {**os.environ, **_probed(self.probe), "OMP_NUM_THREADS": "1"}
        torchrun = [
            *("--nnodes", "1:2", "--nproc-per-node", "1", "--max-restarts", "1000"),
            *(
                "--rdzv-backend",
                "c10d",
                "--rdzv-endpoint",
                f"{ADDRESSES[0]}:{free_port()}",
                "--rdzv-id",
                "plain",
            ),
        ]
        training = [
            *("--recipe", aws.recipe, "--data", aws.shards, "--runs", store.join(aws.bucket, "work", "runs")),
            *("--run-id", "run-plain", "--full-world", "2", *aws.settings),
        ]
        self._torchrun, self._training = torchrun, training
        self._hosts: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Boot both."""
        self._hosts = [self._boot(which) for which in range(2)]

    def replace(self, which: int) -> None:
        """Let a host vanish and boot it again."""
        _vanish(self._hosts[which])
        self._hosts[which] = self._boot(which)

    def close(self) -> None:
        """End all."""
        for host in self._hosts:
            _vanish(host)

    def _boot(self, which: int) -> subprocess.Popen[bytes]:
        own = [
            "--rdzv-conf",
            f"is_host={'true' if which == 0 else 'false'}",
            "--local-addr",
            ADDRESSES[which],
        ]
        command = [sys.executable, "-m", "torch.distributed.run", *self._torchrun, *own]
        with (self._folder / f"host-{which}.log").open("ab") as log:
            return subprocess.Popen(
                ["sh", "-c", LOOP, "host", *command, "-m", "model_code.train", *self._training],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=self._environment,
                start_new_session=True,
            )


def _vanish(host: subprocess.Popen[Any]) -> None:
    """End a host as a power cut does: nobody says goodbye."""
    process = psutil.Process(host.pid)
    family = [process, *process.children(recursive=True)]
    for one in family:
        one.suspend()
    for one in family:
        one.kill()
    host.wait()
