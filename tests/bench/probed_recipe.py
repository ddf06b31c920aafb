"""A recipe whose training says when each of its steps began and ended: what `goodput.py` counts.

Read by file name in a trainer, as a user's own recipe is. Small weights and many multiplications: a step takes long
without a large checkpoint, as that of a large network does.
"""

from __future__ import annotations

import json
import os
import time
from functools import wraps
from pathlib import Path
from typing import Any

import psutil
from torch import nn

from model_code.config import ModelConfig, RunConfig, TrainConfig
from model_code.data.index import DataIndex
from model_code.loop import Loop

FOLDER = os.environ.get("SKYLIFT_PROBE", "")
WIDTH, LAYERS = 32, 4


def build(_: ModelConfig, index: DataIndex) -> nn.Module:
    """Return a plain convolutional network."""
    layers: list[nn.Module] = [nn.Conv2d(1, WIDTH, 3, padding=1), nn.ReLU()]
    for _layer in range(LAYERS):
        layers += [nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, len(index.classes)))


def probed(_: DataIndex) -> RunConfig:
    """Return the recipe."""
    model = ModelConfig(family="custom", builder=f"{__file__}:build")
    return RunConfig(recipe="probed", model=model, train=TrainConfig(learning_rate=1e-3))


def _say(rank: int, kind: str, step: int, begun: float) -> None:
    """Write a line: a process that is killed has written all that it did."""
    row = {"kind": kind, "rank": rank, "step": step, "begun": begun, "ended": time.time()}
    with (Path(FOLDER) / f"{os.getpid()}.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


def _watch() -> None:
    """Put a watch around what a loop does."""

    def watched(name: str, kind: str) -> None:
        method = getattr(Loop, name)

        @wraps(method)
        def timed(self: Loop, *words: Any) -> Any:
            begun = time.time()
            found = method(self, *words)
            _say(self.world.rank, kind, self.step + (kind == "step"), begun)
            return found

        setattr(Loop, name, timed)

    watched("_update", "step")
    watched("_save", "save")
    watched("resume", "resume")
    _say(int(os.environ.get("RANK", 0)), "process", 0, psutil.Process().create_time())


if FOLDER and not hasattr(Loop._update, "__wrapped__"):  # read twice: for the config, and for the network
    _watch()
