"""Fewer ranks than were meant take more micro-batches each: the same batch, no more memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model_code.accumulate import fitted
from model_code.config import TrainConfig, override
from model_code.parallel import World
from model_code.recipes import configure
from model_code.train import train
from tests import small_data


@pytest.mark.parametrize(
    ("batch", "accumulate", "ranks", "full", "parts"),
    [
        (64, 1, 4, 4, 1),
        (64, 1, 2, 4, 2),
        (64, 1, 1, 4, 4),
        (64, 2, 2, 4, 4),
        (48, 1, 3, 4, 2),
        (48, 1, 2, 5, 3),
        (64, 1, 8, 4, 1),
        (64, 1, 4, 0, 1),
        (7, 1, 1, 4, 7),
        (64, 1, 3, 4, 1),
    ],
)
def test_a_micro_batch_is_no_larger_than_a_full_worlds(
    batch: int, accumulate: int, ranks: int, full: int, parts: int
) -> None:
    """The fewest parts that divide a rank's share; what cannot be shared is left for the loop to refuse."""
    train = TrainConfig(global_batch=batch, accumulate=accumulate)
    found = fitted(train, ranks, full)
    assert found.accumulate == parts
    assert found.global_batch == batch
    if full and batch % ranks == 0 and ranks < full:
        assert batch / ranks / parts <= batch / full / accumulate
        assert (batch // ranks) % parts == 0


def test_a_lone_rank_computes_what_it_would_as_one_of_four(tmp_path: Path) -> None:
    """Same weights up to the order of additions: the batch is the same one, only cut."""
    words = [
        *("model.layers=2", "model.width=32", "train.steps=4", "train.evaluate_every=4"),
        *("train.global_batch=8", "train.learning_rate=0.001"),
    ]
    config, index = configure("gpt", small_data.tokens(tmp_path), [])
    changed = override(config, words)
    weights = []
    for full in (1, 4):
        run = tmp_path / f"run-{full}"
        train(run.as_uri(), "run", changed, index, World(), torch.device("cpu"), bool, full_world=full)
        weights.append(load_file(run / "model.safetensors"))
    one, other = weights
    assert max(float((one[name] - other[name]).abs().max()) for name in one) < 2e-4
