"""Recipes return complete configs that fit the data; what does not fit is refused in one line."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from model_code.config import from_json
from model_code.data.index import load_index
from model_code.errors import InputError
from model_code.recipes import RECIPES, configure, resolve
from tests import small_data
from tests.runs import ROOT, mlp_recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A small data set of each kind, by the recipe that fits it."""
    folder = tmp_path_factory.mktemp("data")
    return {
        "resnet": small_data.digits(folder),
        "bert": small_data.texts(folder),
        "gpt": small_data.tokens(folder, lines=600),
    }


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_fits_its_data(data: dict[str, str], name: str) -> None:
    """The family is the recipe's and the batch no larger than the training split."""
    config, index = configure(name, data[name], [])
    assert (config.recipe, config.model.family, config.data) == (name, name, data[name])
    assert config.train.global_batch <= index.splits["train"].samples


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("samples", [1, 3, 14, 150, 1400, 60_000, 5_000_000])
def test_steps_stay_in_bounds_for_any_size(data: dict[str, str], name: str, samples: int) -> None:
    """From a handful of samples to millions: hundreds of steps, measured at least twice and not each step."""
    index = load_index(data[name])
    splits = {**index.splits, "train": dataclasses.replace(index.splits["train"], samples=samples)}
    train = resolve(name, dataclasses.replace(index, splits=splits)).train
    steps = train.steps or train.epochs * -(-samples // train.global_batch)
    assert 200 <= steps <= 1400
    assert 20 <= train.evaluate_every <= steps / 2


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("kind", RECIPES)
def test_a_recipe_for_other_data_names_the_right_one(data: dict[str, str], recipe: str, kind: str) -> None:
    """Texts cannot train a ResNet; the message says which recipe they can train."""
    if recipe == kind:
        assert configure(recipe, data[kind], [])
        return
    with pytest.raises(InputError, match=f"recipe {recipe} needs data of kind .*; use --recipe {kind}$"):
        configure(recipe, data[kind], [])


def test_fine_tuning_gets_its_own_recipe(data: dict[str, str]) -> None:
    """Naming pretrained weights lowers the learning rate and the passes, unless the words say otherwise."""
    scratch, _ = configure("bert", data["bert"], [])
    tuned, _ = configure("bert", data["bert"], ["model.pretrained=/models/mini", "train.epochs=2"])
    assert tuned.train.learning_rate < scratch.train.learning_rate / 5
    assert tuned.train.epochs == 2
    assert tuned.model.pretrained == "/models/mini"


def test_the_users_own_recipe_is_called_with_the_data(data: dict[str, str], tmp_path: Path) -> None:
    """`file.py:function` gives the config; overrides apply to it as to any other."""
    recipe = mlp_recipe(tmp_path)
    config, _ = configure(recipe, data["resnet"], ["train.epochs=2"])
    assert (config.recipe, config.model.family, config.train.epochs) == (recipe, "custom", 2)


@pytest.mark.parametrize(
    ("recipe", "words", "message"),
    [
        ("resnte", [], "unknown recipe `resnte`; did you mean `resnet`\\?"),
        ("nowhere.py:mine", [], "recipe names the file `nowhere.py`, which does not exist"),
        ("folder/mine.py", [], "recipe must be path/to/file.py:function"),
        ("resnet", ["train.epoch=3"], "unknown setting `train.epoch`; did you mean `train.epochs`\\?"),
        ("resnet", ["train.epochs=0"], "train.epochs must be between 1 and"),
        ("resnet", ["model.layers=1,1"], "model.layers must be 4 numbers"),
    ],
)
def test_what_is_wrong_is_named(data: dict[str, str], recipe: str, words: list[str], message: str) -> None:
    """A wrong recipe or setting is answered with the rule and the nearest right one."""
    with pytest.raises(InputError, match=message):
        configure(recipe, data["resnet"], words)


def test_a_context_must_divide_the_block(data: dict[str, str]) -> None:
    """A shorter context that divides the block is fine, any other is refused with one that works."""
    assert configure("gpt", data["gpt"], ["model.max_tokens=16"])[0].model.max_tokens == 16
    with pytest.raises(InputError, match="must divide the data's block of 32 tokens, got 20; set"):
        configure("gpt", data["gpt"], ["model.max_tokens=20"])


def test_a_recipe_that_returns_something_else_is_refused(data: dict[str, str], tmp_path: Path) -> None:
    """The message names the recipe and what it returned."""
    file = tmp_path / "odd.py"
    file.write_text("def mine():\n    return {}\n")
    with pytest.raises(InputError, match="must return a RunConfig, it returned dict"):
        configure(f"{file}:mine", data["resnet"], [])


def test_the_command_prints_the_config_without_torch(data: dict[str, str]) -> None:
    """`python -m model_code.recipes` is the quick check at the border: JSON out, torch never imported."""
    code = (
        "import sys\nfrom model_code.recipes import main\nmain(sys.argv[1:])\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    words = ["--recipe", "resnet", "--data", data["resnet"], "train.seed=7"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert from_json(done.stdout).train.seed == 7
    assert json.loads(done.stdout)["recipe"] == "resnet"


@pytest.mark.parametrize("words", [["--recipe", "resnet"], ["--recipe", "resnet", "--data", "/nowhere"]])
def test_the_command_refuses_in_one_line(words: list[str]) -> None:
    """Bad input: exit code 2, one line on stderr, nothing on stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "model_code.recipes", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
