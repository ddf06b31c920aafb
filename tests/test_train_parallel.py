"""Two processes on gloo, started by a real torchrun, compute what one process computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from model_code.config import override
from model_code.parallel import World
from model_code.recipes import configure
from model_code.train import train
from tests import small_data
from tests.runs import torchrun

SMALL = [
    "model.layers=2",
    "model.width=32",
    "train.steps=6",
    "train.evaluate_every=6",
    "train.global_batch=8",
    "train.learning_rate=0.001",
]
PLANS = {
    "ddp": [],
    "fsdp": ["train.strategy=fsdp"],
    "accumulated": ["train.accumulate=2"],
    "fsdp-accumulated": ["train.strategy=fsdp", "train.accumulate=2"],
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    """Final weights of a small decoder: by one process, and by two under each setting."""
    folder = tmp_path_factory.mktemp("matrix")
    data = small_data.tokens(folder)
    plans = [f"{name}:{';'.join([*SMALL, *words])}" for name, words in PLANS.items()]
    process = torchrun("gpt", data, str(folder), *plans, module="tests.train_matrix")
    config, index = configure("gpt", data, [])
    for name, words in (("alone", []), ("alone-accumulated", ["train.accumulate=4"])):
        changed = override(config, [*SMALL, *words])
        run = (folder / name).as_uri()
        train(run, name, changed, index, World(), torch.device("cpu"), lambda: False)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return {path.parent.name: load_file(path) for path in folder.glob("*/model.safetensors")}


def furthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the largest difference between two sets of weights with the same names."""
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize("name", ["alone-accumulated", *PLANS])
def test_every_way_of_sharing_a_batch_makes_the_same_update(
    weights: dict[str, dict[str, Tensor]], name: str
) -> None:
    """DDP, FSDP2 and accumulation give one process's weights up to the order of float additions."""
    assert furthest(weights["alone"], weights[name]) < 2e-4


def test_the_comparison_would_see_another_training(
    weights: dict[str, dict[str, Tensor]], tmp_path: Path
) -> None:
    """One step less moves the weights far more than the tolerance above."""
    data = small_data.tokens(tmp_path)
    config, index = configure("gpt", data, [*SMALL, "train.steps=5", "train.evaluate_every=5"])
    train((tmp_path / "run").as_uri(), "run", config, index, World(), torch.device("cpu"), lambda: False)
    other = load_file(tmp_path / "run" / "model.safetensors")
    assert furthest(weights["alone"], other) > 4e-4
