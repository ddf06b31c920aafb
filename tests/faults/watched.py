"""Trainings that break themselves: a user's own network that does harm at a given step on a given rank."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from tests import small_data
from tests.lasting import lasting_folder, temporary
from tests.runs import ROOT

RECIPE = '''
"""A user's own network, which counts its steps and does harm."""
import os, random, signal, time
from pathlib import Path
import torch
from torch import nn
from model_code.config import ModelConfig, RunConfig, TrainConfig
from model_code.data.stream import TrainStream

HERE = Path(__file__).parent
RANK = int(os.environ.get("RANK", "0"))

def once():
    """Tell whether this harm is done for the first time; note when."""
    try:
        (HERE / "harmed").open("x").close()
    except FileExistsError:
        return False
    return True

def harm(network, step):
    """Act before the forward of a step."""
    {before}

def harmed(logits, step):
    """Act on its result."""
    {after}
    return logits

def fetching(step):
    """Act while the batch of a step is fetched."""
    {fetch}

class Network(nn.Sequential):
    step = 0

    def forward(self, image):
        if self.training:
            self.step += 1
            harm(self, self.step)
        logits = super().forward(image.flatten(1).float())
        return harmed(logits, self.step) if self.training else logits

fetched = 0
ready = TrainStream.__next__

def fetch(stream):
    global fetched
    fetched += 1
    fetching(fetched)
    return ready(stream)

TrainStream.__next__ = fetch

def build(config, index):
    (HERE / f"pid-{{RANK}}").write_text(str(os.getpid()))
    {building}
    image = index.image
    pixels = image.channels * image.height * image.width
    return Network(nn.Linear(pixels, 32), nn.ReLU(), nn.Linear(32, len(index.classes)))

def mine(index):
    model = ModelConfig(family="custom", builder=__file__ + ":build")
    train = TrainConfig(steps=40, checkpoint_every=10, evaluate_every=20, verify_every=10)
    return RunConfig(recipe="mine", model=model, train=train)
'''
ENDS_WITHIN = 300.0
"""Seconds that a broken training may take to end, its start included, on a slow and busy machine."""


@cache
def digits() -> str:
    """Return the URI of a data set for all of them."""
    return small_data.digits(lasting_folder("faults"))


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a training ended."""

    code: int
    """The launcher's exit code."""
    said: str
    """Its stderr."""
    result: dict[str, Any]
    """What it printed; empty where it failed."""
    run: Path
    """Its folder."""
    seconds: float | None
    """From the harm to the end, where harm was done."""

    @property
    def errors(self) -> list[str]:
        """The lines that say why it failed."""
        return [line for line in self.said.splitlines() if line.startswith("error: ")]

    @property
    def error(self) -> str:
        """The only one."""
        assert len(self.errors) == 1, self.said
        return self.errors[0]

    def incidents(self, kind: str) -> list[dict[str, Any]]:
        """Return what the run's file says of a kind."""
        file = self.run / "incidents.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [row for row in rows if row["kind"] == kind]

    def checkpoints(self) -> list[str]:
        """Return the complete ones."""
        return sorted(path.parent.name for path in self.run.glob("checkpoints/*/manifest.json"))


def recipe(
    folder: Path, *, before: str = "pass", after: str = "pass", fetch: str = "pass", building: str = "pass"
) -> str:
    """Write a recipe that does harm and return its name.

    Args:
        folder: where it lies.
        before: a statement before a step's forward; knows `network`, `step`, `RANK`, `once`.
        after: one after it; may change `logits`.
        fetch: one while a step's batch is fetched.
        building: one before the network is built.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "harm.py"
    file.write_text(RECIPE.format(before=before, after=after, fetch=fetch, building=building))
    return f"{file}:mine"


def command(name: str, runs: Path, *words: str, ranks: int = 2) -> list[str]:
    """Return the words that train a recipe, on one process or by torchrun on several."""
    module = ["-m", "model_code.train", "--recipe", name, "--data", digits(), "--runs", str(runs), *words]
    if ranks == 1:
        return [sys.executable, *module]
    launch = ["-m", "model_code.launch", "--standalone", "--nproc-per-node", str(ranks)]
    return [sys.executable, *launch, *module]


def started(words: list[str]) -> subprocess.Popen[str]:
    """Start it."""
    return subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TMPDIR": temporary()},
    )


def trained(name: str, *words: str, ranks: int = 2) -> Ended:
    """Train a recipe below its own folder to whatever end it takes; no process of it is left behind."""
    folder = Path(name.rpartition(":")[0]).parent
    with started(command(name, folder / "runs", "--run-id", "run", *words, ranks=ranks)) as process:
        try:
            out, said = process.communicate(timeout=ENDS_WITHIN)
        finally:
            ended = time.time()
            left = [pid for pid in pids(folder) if alive(pid)]
            for pid in (*left, process.pid) if process.poll() is None else left:
                psutil.Process(pid).kill()
    assert not left, f"processes {left} were left behind"
    harmed = folder / "harmed"
    return Ended(
        code=process.returncode,
        said=said,
        result=json.loads(out) if out else {},
        run=folder / "runs" / "run",
        seconds=ended - harmed.stat().st_mtime if harmed.exists() else None,
    )


def pids(folder: Path) -> dict[int, int]:
    """Return the trainers of a recipe: rank by pid."""
    return {int(path.read_text()): int(path.name.removeprefix("pid-")) for path in folder.glob("pid-*")}


def alive(pid: int) -> bool:
    """Tell whether a process runs, or is stopped; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(state: Callable[[], object]) -> None:
    """Wait for a state."""
    deadline = time.monotonic() + ENDS_WITHIN
    while not state():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.05)


@cache
def undisturbed() -> str:
    """Return the hash of the weights that two ranks end with when nothing is broken."""
    folder = lasting_folder("faults")
    ended = trained(recipe(folder))
    assert ended.code == 0, ended.said
    return str(ended.result["model_sha256"])
