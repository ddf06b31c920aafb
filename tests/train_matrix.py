"""Run by torchrun in test_train_parallel: the same training under several settings, weights saved for comparison.

torchrun ... -m tests.train_matrix DATA OUT NAME:key=value,key=value ...
"""

from __future__ import annotations

import sys
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
            name, _, words = plan.partition(":")
            config, index = configure(recipe, data, [])
            config = override(config, [word for word in words.split(";") if word])
            train((Path(out) / name).as_uri(), name, config, index, world, device, lambda: False)


if __name__ == "__main__":
    main()
