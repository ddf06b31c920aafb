"""How long a checkpoint stops the training: written beside it, against written while it waits.

    uv run torchrun --standalone --nproc-per-node 2 -m tests.bench.checkpoint_stall

Rounds without saves, with saves and with saves that are waited for take turns; a save comes every `EVERY` steps.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from torch import nn

from model_code.checkpoint.keeper import Checkpoints
from model_code.checkpoint.state import copy_of, weights_of
from model_code.config import TrainConfig
from model_code.optim import build_optimizer
from model_code.parallel import World, choose_device, from_leader, process_group, read_environment, wrap

WIDTH, LAYERS, BATCH = 1024, 8, 64
EVERY, ROUNDS = 20, 3


def measure(world: World) -> dict[str, float]:
    """Return medians over the rounds, in milliseconds: a step, and what a save adds to `EVERY` steps."""
    device = choose_device(world)
    torch.manual_seed(0)
    model = wrap(
        nn.Sequential(*(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU()) for _ in range(LAYERS))),
        "ddp",
        device,
    )
    optimizer = build_optimizer(model, TrainConfig())
    batch = torch.randn(BATCH, WIDTH, device=device)
    folder = from_leader(lambda: tempfile.mkdtemp(prefix="skylift-bench-").encode()).decode()
    checkpoints = Checkpoints(Path(folder).as_uri(), world, keep=1)
    best = copy_of(weights_of(model))
    number = 0

    def seconds(*, save: bool, wait: bool) -> tuple[float, float]:
        """Return what `EVERY` steps and a save take, and what of it the call of the save."""
        nonlocal number
        number += 1
        begun, called = time.perf_counter(), 0.0
        if save:
            checkpoints.save(model, optimizer, progress={"step": number, "best": {"step": 1}}, best=best)
            if wait:
                checkpoints.settle()
            called = time.perf_counter() - begun
        for _ in range(EVERY):
            model(batch).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        took = time.perf_counter() - begun
        checkpoints.settle()
        return took, called

    seconds(save=True, wait=True)
    rounds = [
        (seconds(save=False, wait=False), seconds(save=True, wait=False), seconds(save=True, wait=True))
        for _ in range(ROUNDS)
    ]
    plain, beside, waiting = ([one[kind] for one in rounds] for kind in range(3))
    step = median(took for took, _ in plain) / EVERY
    files = list(Path(folder).glob("checkpoints/*/shard-*"))
    found = {
        "megabytes": sum(path.stat().st_size for path in files) / 1e6,
        "step_ms": step * 1e3,
        "async_call_ms": median(called for _, called in beside) * 1e3,
        "sync_call_ms": median(called for _, called in waiting) * 1e3,
        "async_added_ms": (median(took for took, _ in beside) - step * EVERY) * 1e3,
        "sync_added_ms": (median(took for took, _ in waiting) - step * EVERY) * 1e3,
        "async_call_steps": median(called for _, called in beside) / step,
        "sync_call_steps": median(called for _, called in waiting) / step,
    }
    if world.leads:
        shutil.rmtree(folder)
    return {name: round(value, 2) for name, value in found.items()}


if __name__ == "__main__":
    here = read_environment()
    with process_group(here, choose_device(here)):
        result = measure(here)
    if here.leads:
        print(json.dumps(result, indent=1))
