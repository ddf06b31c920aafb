"""Runs that are started again: finished ones, and one in a bucket. Processes are killed in `tests.faults.training`."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from model_code import store
from model_code.data.index import load_index
from model_code.parallel import World
from model_code.recipes import configure
from model_code.train import train
from model_code.trained import load_trained
from tests import small_data
from tests.runs import mlp_recipe, trained_here


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A training of a small network."""
    folder = tmp_path_factory.mktemp("resume")
    data = small_data.digits(folder / "data")
    return ["--recipe", mlp_recipe(folder), "--data", data]


def test_a_finished_run_is_returned_at_once(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same call again trains nothing and returns the same result; another setting is another run."""
    few = [*words, "train.steps=5", "--runs", str(tmp_path)]
    first, _ = trained_here(capsys, *few)
    written = (tmp_path / first["run_id"] / "model.safetensors").stat().st_mtime_ns
    again, _ = trained_here(capsys, *few)
    assert again == first
    assert (tmp_path / first["run_id"] / "model.safetensors").stat().st_mtime_ns == written
    other, _ = trained_here(capsys, *few, "train.seed=1")
    assert other["run_id"] != first["run_id"]


def test_a_run_in_a_bucket_is_resumed(
    words: list[str], bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped, its newest checkpoint torn, begun again: the weights are those of a run that was not disturbed."""
    few = [*words, "train.steps=60", "train.checkpoint_every=10", "train.evaluate_every=30"]
    whole, _ = trained_here(capsys, *few, "--runs", f"{bucket}/whole")
    config, index = configure(few[1], few[3], few[4:])
    run = f"{bucket}/runs/{whole['run_id']}"
    asked = itertools.count(2)
    stopped = train(
        run, whole["run_id"], config, index, World(), torch.device("cpu"), lambda: next(asked) >= 35
    )
    assert stopped["stopped"] is True
    assert stopped["step"] == 35
    *_, before, newest = store.names(f"{run}/checkpoints")
    store.delete(f"{run}/checkpoints/{newest}/manifest.json")
    again, said = trained_here(capsys, *few, "--runs", f"{bucket}/runs")
    assert f"{newest}: no manifest.json" in said
    assert (before, again["resumed_from"]) == ("step-000000030", 30)
    for name in ("model_sha256", "samples_digest", "metric", "best_step"):
        assert again[name] == whole[name], name
    assert load_trained(run).index == load_index(few[3])
