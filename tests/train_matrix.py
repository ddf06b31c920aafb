"""Run by torchrun in tests: the same training under several settings, weights saved for comparison.

torchrun ... -m tests.train_matrix RECIPE DATA OUT NAME[@STEP]:key=value;key=value ...

A run with a step is asked to stop there; a run whose folder has a checkpoint goes on after it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

from model_code.config import override
from model_code.parallel import choose_device, process_group, read_environment
from model_code.recipes import configure
from model_code.train import make_repeatable, train


def main() -> None:
    """Train each setting in turn within one process group."""
    recipe, data, out, *plans = sys.argv[1:]
    world = read_environment()
    device = choose_device(world)
    make_repeatable()
    with process_group(world, device):
        for plan in plans:
            title, _, words = plan.partition(":")
            name, _, stop = title.partition("@")
            config, index = configure(recipe, data, [])
            config = override(config, [word for word in words.split(";") if word])
            train((Path(out) / name).as_uri(), name, config, index, world, device, asked(stop))


def asked(stop: str) -> Callable[[], bool]:
    """Return a function that says, once a step, whether to stop: the loop hears it a step later."""
    steps = count(2)
    return lambda: bool(stop) and next(steps) >= int(stop)


if __name__ == "__main__":
    main()
