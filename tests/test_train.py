"""The parts of a training: what each kind of data asks for, augmentation, learning rate, and whole small runs."""

from __future__ import annotations

import errno
import itertools
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from model_code import store, tokenizer
from model_code.config import TrainConfig
from model_code.data.index import load_index, load_tokenizer
from model_code.data.read import ShardReader, read_all
from model_code.errors import InputError, RunFailedError
from model_code.job import pixel_statistics
from model_code.optim import build_optimizer, learning_rate
from model_code.parallel import World, choose_device
from model_code.tasks import task_for
from model_code.trained import load_trained
from tests import small_data
from tests.runs import ROOT, mlp_recipe, trained_here

# -- learning rate and optimizer


def test_the_learning_rate_rises_and_falls() -> None:
    """A linear warm-up to the peak, then half a cosine towards zero; each value follows from the step alone."""
    config = TrainConfig(learning_rate=1.0, warmup=0.1)
    rates = [learning_rate(config, step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.5)
    assert all(one > two for one, two in itertools.pairwise(rates[10:]))
    assert 0 < rates[-1] < 0.001
    assert learning_rate(TrainConfig(learning_rate=1.0, warmup=0), 0, 100) == 1.0


def test_vectors_do_not_decay() -> None:
    """Matrices and kernels are in a decaying group, biases and norms in one without; none is in both or missing."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    groups = build_optimizer(model, TrainConfig(weight_decay=0.3)).param_groups
    shapes = {group["weight_decay"]: sorted(p.ndim for p in group["params"]) for group in groups}
    assert shapes == {0.3: [2, 4], 0.0: [1, 1, 1, 1]}


# -- augmentation


def test_pixel_statistics_are_those_of_the_training_split(tmp_path: Path) -> None:
    """Mean and deviation a channel, as numpy computes them."""
    uri = small_data.photographs(tmp_path)
    mean, std = pixel_statistics(ShardReader(uri, "train"))
    pixels = read_all(uri, "train")["image"].astype(np.float64)
    np.testing.assert_allclose(mean.numpy(), pixels.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(std.numpy(), pixels.std((0, 2, 3)), rtol=1e-5)


class Constant(nn.Module):
    """A language model that finds every token equally likely."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return equal logits."""
        return torch.zeros(*input_ids.shape, self.vocabulary)


@pytest.mark.parametrize("context", [0, 16])
def test_bits_per_byte_is_what_the_formula_says(tmp_path: Path, context: int) -> None:
    """A uniform guess costs log2(vocabulary) bits a token; divided by the bytes of the tokens that were predicted."""
    uri = small_data.tokens(tmp_path, lines=600)
    index = load_index(uri)
    content = load_tokenizer(uri, index)
    task = task_for(index, content, max_tokens=context)
    assert index.tokens is not None
    reader = ShardReader(uri, "test")
    measured = task.evaluate(Constant(index.tokens.vocabulary), reader, 7)
    words = tokenizer.load(content)
    blocks = read_all(uri, "test")["tokens"][:, 1:]
    size = sum(len(words.decode(block.tolist(), skip_special_tokens=False).encode()) for block in blocks)
    assert measured == pytest.approx(blocks.size * math.log2(index.tokens.vocabulary) / size, rel=1e-3)


def test_evaluation_slices_add_up(tmp_path: Path) -> None:
    """Two ranks' slices hold the same right answers as the whole split measured at once."""
    uri = small_data.digits(tmp_path)
    task = task_for(load_index(uri))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    class Named(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = model(image.float())
            return logits

    reader = ShardReader(uri, "test")
    whole = task.evaluate(Named(), reader, 50)
    right = sum(
        task.score(Named()(**task.inputs(batch)), task.targets(batch))[0]
        for rank in (0, 1)
        for batch in reader.batches(13, rank=rank, world_size=2)
    )
    assert whole == pytest.approx(right / len(reader))


def test_text_needs_its_tokenizer(tmp_path: Path) -> None:
    """A task for texts without a tokenizer is refused."""
    with pytest.raises(InputError, match="needs a tokenizer"):
        task_for(load_index(small_data.texts(tmp_path)))


# -- whole runs in this process


@pytest.fixture
def digits(tmp_path: Path) -> str:
    return small_data.digits(tmp_path / "data")


def test_the_users_own_network_trains_and_loads_without_its_file(
    digits: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten lines of the user's own learn the digits; the run still loads when their file is gone."""
    recipe = mlp_recipe(tmp_path / "own")
    result, said = trained_here(
        capsys, "--recipe", recipe, "--data", digits, "--runs", str(tmp_path / "runs")
    )
    assert result["metric_name"] == "accuracy"
    assert result["metric"] > 0.85
    assert "validation accuracy" in said
    (tmp_path / "own" / "mlp.py").unlink()
    trained = load_trained(result["uri"])
    assert not trained.model.training
    measured = task_for(trained.index).evaluate(trained.model, ShardReader(digits, "test"), 64)
    assert measured == pytest.approx(result["metric"])


@pytest.mark.parametrize("name", ["bert", "gpt"])
def test_a_transformer_learns_and_loads(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loss falls, metrics and TensorBoard are written, and the loaded network measures what training measured."""
    data = small_data.texts(tmp_path) if name == "bert" else small_data.tokens(tmp_path, lines=1500)
    words = ["model.layers=1", "model.width=32", "train.steps=60", "train.evaluate_every=30"]
    result, _ = trained_here(
        capsys, "--recipe", name, "--data", data, "--runs", str(tmp_path / "runs"), *words
    )
    run = tmp_path / "runs" / result["run_id"]
    rows: list[dict[str, Any]] = [
        json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()
    ]
    losses = [row["loss"] for row in rows if row["split"] == "train"]
    assert losses[-1] < losses[0]
    assert [row["step"] for row in rows if row["split"] == "validation"] == [30, 60]
    assert list((run / "tensorboard").glob("events.*"))
    trained = load_trained(result["uri"])
    task = task_for(trained.index, trained.tokenizer_json, max_tokens=trained.config.model.max_tokens)
    measured = task.evaluate(trained.model, ShardReader(data, "test"), 64)
    assert measured == pytest.approx(result["metric"], rel=1e-5)
    assert trained.tokenizer_json == (run / "tokenizer.json").read_bytes()


def test_a_pretrained_folder_is_fine_tuned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An encoder saved by transformers with its tokenizer trains on our texts, and loads without the folder."""
    from transformers import BertConfig, BertModel

    data = small_data.texts(tmp_path)
    folder = tmp_path / "pretrained"
    words = tokenizer.train_bpe(read_all(data, "train")["text"], vocabulary=300, max_tokens=32)
    size = tokenizer.load(words).get_vocab_size()
    BertModel(
        BertConfig(
            vocab_size=size, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
        )
    ).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(words)
    result, _ = trained_here(
        capsys,
        *["--recipe", "bert", "--data", data, "--runs", str(tmp_path / "runs"), "train.steps=5"],
        f"model.pretrained={folder}",
    )
    for path in folder.iterdir():
        path.unlink()
    trained = load_trained(result["uri"])
    assert trained.model.get_submodule("body").config.hidden_size == 32  # type: ignore[union-attr]


def test_photographs_are_augmented_in_training_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Augmentation changes the outcome of a training; switched off, another run id and other weights result."""
    data = small_data.photographs(tmp_path)
    recipe = mlp_recipe(tmp_path / "own")
    words = ["--recipe", recipe, "--data", data, "--runs", str(tmp_path / "runs"), "train.steps=8"]
    words += ["train.global_batch=8"]
    with_it, _ = trained_here(capsys, *words)
    without, _ = trained_here(capsys, *words, "train.augment=false")
    assert with_it["model_sha256"] != without["model_sha256"]


def test_a_run_id_cannot_be_given_to_another_config(
    digits: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A named run refuses a second config instead of mixing two trainings."""
    words = [
        "--recipe",
        mlp_recipe(tmp_path / "own"),
        "--data",
        digits,
        "--runs",
        str(tmp_path),
        "--run-id",
        "mine",
    ]
    result, _ = trained_here(capsys, *words, "train.steps=3")
    assert result["run_id"] == "mine"
    for left in ("trained", "interrupted"):
        with pytest.raises(InputError, match="holds a run with another config"):
            trained_here(capsys, *words, "train.steps=4")
        if left == "trained":
            (tmp_path / "mine" / "trained.json").unlink()


def test_a_training_that_diverges_says_so(
    digits: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A loss that is no number any more ends the run with the setting to change; nothing is called trained."""
    words = ["--recipe", mlp_recipe(tmp_path / "own"), "--data", digits, "--runs", str(tmp_path)]
    with pytest.raises(RunFailedError, match=r"the loss is \w+ after step .*; lower train.learning_rate"):
        trained_here(capsys, *words, "train.optimizer=sgd", "train.learning_rate=10", "train.weight_decay=10")
    assert not list(tmp_path.glob("*/trained.json"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--recipe", "bert"], "use --recipe resnet"),
        (["--recipe", "resnet", "train.lerning_rate=1"], "did you mean `train.learning_rate`"),
        (["--recipe", "resnet", "train.global_batch=10", "train.accumulate=3"], "set train.global_batch=12"),
    ],
)
def test_a_wrong_command_is_refused(digits: str, tmp_path: Path, words: list[str], message: str) -> None:
    """The message names the setting and what to write."""
    from model_code.train import main

    with pytest.raises(InputError, match=message):
        main([*words, "--data", digits, "--runs", str(tmp_path)])


def test_the_process_ends_with_code_2_and_one_line(digits: str, tmp_path: Path) -> None:
    """A recipe for other data: exit code 2, one line on stderr, nothing on stdout."""
    words = ["--recipe", "gpt", "--data", digits, "--runs", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "model_code.train", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert [
        line for line in done.stderr.splitlines() if line.startswith("error: ")
    ] == done.stderr.splitlines()


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes on a machine with one GPU: the message says how many, and how to use the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="must not exceed this machine's 1 GPUs, got 2"):
        choose_device(World(world_size=2, local_world_size=2, launched=True))


def test_weights_that_cannot_be_written_are_one_line(
    digits: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk without room for them ends the run with the next step; with room, the same command finishes it."""
    words = ["--recipe", mlp_recipe(tmp_path / "own"), "--data", digits, "--runs", str(tmp_path)]
    write = store.write

    def full(uri: str, content: bytes) -> None:
        if uri.endswith("/model.safetensors"):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(uri, content)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", full)
        with pytest.raises(RunFailedError, match=r"No space left on device; make room or give access"):
            trained_here(capsys, *words, "train.steps=3")
    result, _ = trained_here(capsys, *words, "train.steps=3")
    assert result["resumed_from"] == 3
