"""What comparing the replicas costs, as a share of the training it watches.

    uv run torchrun --standalone --nproc-per-node 2 -m tests.bench.replica_check

Steps and comparisons take turns in one process, so that whatever else the machine does slows both.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from model_code.config import TrainConfig
from model_code.job import prepare
from model_code.loop import Loop
from model_code.parallel import choose_device, from_leader, process_group, read_environment
from model_code.recipes import configure
from model_code.replicas import bits_hash
from tests import small_data

ROUNDS = 30
EVERY = TrainConfig().verify_every


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a piece of work takes, the GPU's included."""
    begun = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def main() -> None:
    """Print one JSON object: what a step, the hash of its gradients and a comparison take, by network."""
    world = read_environment()
    found: dict[str, dict[str, float]] = {}
    device = choose_device(world)
    with process_group(world, device), tempfile.TemporaryDirectory(prefix="skylift-bench-") as temporary:
        folder = Path(from_leader(lambda: temporary.encode()).decode())
        for recipe, write in (("resnet", small_data.digits), ("gpt", small_data.tokens)):
            data = from_leader(lambda write=write, recipe=recipe: write(folder / recipe).encode()).decode()  # type: ignore[misc]
            config, index = configure(recipe, data, [])
            loop = Loop(prepare((folder / f"run-{recipe}").as_uri(), config, index), world, device)
            loop.replay(5)  # warm-up
            steps, checks, hashed = [], [], []
            for _ in range(ROUNDS):
                steps.append(timed(lambda loop=loop: loop.replay(loop.step + 1)))  # type: ignore[misc]
                checks.append(timed(lambda loop=loop: loop.replicas.check(loop.step)))  # type: ignore[misc]
                # As many bits as the gradients that each step hashes.
                hashed.append(timed(lambda loop=loop: bits_hash(loop.model.parameters())))  # type: ignore[misc]
            loop.close()
            step, check, own = median(steps), median(checks), median(hashed)
            found[recipe] = {
                "parameters": sum(parameter.numel() for parameter in loop.model.parameters()),
                "step_ms": round(1e3 * step, 1),
                "hash_share": round(own / step, 5),
                "comparison_share": round(check / step / EVERY, 6),
            }
    if world.leads:
        sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
