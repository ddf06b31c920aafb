"""Settings: what the command line may say, and what is refused with which words."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from model_code.check import check
from model_code.config import CompressConfig, ModelConfig, RunConfig, from_json, override, to_json
from model_code.errors import InputError

CONFIG = RunConfig(recipe="resnet", model=ModelConfig(family="resnet"))


def test_json_and_back_is_the_same() -> None:
    """A config survives its JSON form, tuples included."""
    config = override(CONFIG, ["compress.prune=0.3,0.6", "model.layers=2,2,2,2", "train.compile=true"])
    assert from_json(to_json(config)) == config


@pytest.mark.parametrize(
    "words",
    [["train.epochs=3"], ["--train.epochs=3"], ["--train.epochs", "3"], ["train.epochs=2", "train.epochs=3"]],
)
def test_a_setting_may_be_written_in_four_ways(words: list[str]) -> None:
    """`key=value`, with or without dashes, in one or two words; the last one counts."""
    assert override(CONFIG, words).train.epochs == 3


BAD_SETTINGS = {
    "train.epoch=3": "unknown setting `train.epoch`; did you mean `train.epochs`?",
    "trian.epochs=3": "unknown setting `trian.epochs`; did you mean `train.epochs`?",
    "compress.tolerence=1": "unknown setting `compress.tolerence`; did you mean `compress.tolerance`?",
    "train.epochs=x": "train.epochs must be a whole number, got `x`",
    "train.learning_rate=fast": "train.learning_rate must be a number, got `fast`",
    "train.learning_rate=nan": "train.learning_rate must be between 1e-09 and 10, got nan",
    "train.compile=1": "train.compile must be true or false, got `1`",
    "train.optimizer=adam": "train.optimizer must be one of adamw, sgd, got `adam`",
    "train.epochs=0": "train.epochs must be between 1 and 100000, got 0",
    "train.global_batch=-1": "train.global_batch must be between 1 and",
    "compress.prune=0.5,2": "compress.prune must be between 0.01 and 0.95, got 2",
    "model.layers=1,1": "model.layers must be 4 numbers for resnet, got (1, 1)",
    "epochs": "a setting must be written key=value, got `epochs`",
}


@pytest.mark.parametrize("word", BAD_SETTINGS)
def test_a_wrong_setting_is_named(word: str) -> None:
    """The message names the setting, the rule and what was received."""
    with pytest.raises(InputError) as error:
        override(CONFIG, [word])
    assert BAD_SETTINGS[word] in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"speed": 1}, "unknown setting `speed`"),
        ({"train": {"epoch": 1}}, "unknown setting `train.epoch`; did you mean `train.epochs`?"),
        ({"train": {"epochs": "3"}}, "train.epochs must be int, got '3'"),
        ({"train": 3}, "train must be an object, got int"),
    ],
)
def test_a_wrong_config_file_is_refused(change: dict[str, object], message: str) -> None:
    """JSON with unknown fields or wrong types is an input error."""
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        from_json(json.dumps({**json.loads(to_json(CONFIG)), **change}))


@pytest.mark.parametrize(
    ("tolerance", "ratio"), [(0.99, 0.99), (0.01, 0.99), (0, 1), (1.5, 1.5), (-0.5, 1.5)]
)
def test_tolerance_is_a_share_to_keep_or_a_loss_allowed(tolerance: float, ratio: float) -> None:
    """From 0.5 on it is what must be kept, below it what may be lost."""
    assert CompressConfig(tolerance=tolerance).required_ratio == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("rsnet", "unknown recipe `rsnet`; did you mean `resnet`?"),
        ("none.py:f", "recipe names the file `none.py`, which does not exist"),
    ],
)
def test_a_wrong_recipe_is_named_before_anything_is_done(recipe: str, message: str) -> None:
    """Recipe names are checked without data."""
    with pytest.raises(InputError) as error:
        check(recipe, [])
    assert message in str(error.value)


def test_a_stage_reports_bad_input_in_one_line() -> None:
    """A stage's process ends with exit code 2, one line on stderr, nothing on stdout."""
    words = [sys.executable, "-m", "model_code.check", "--recipe", "resnet", "train.epoch=3"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: unknown setting `train.epoch`; did you mean `train.epochs`?\n"
