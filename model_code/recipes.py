"""Recipes: functions that return a complete `RunConfig` whose sizes fit the data and a small machine's patience.

    python -m model_code.recipes --recipe R --data URI [key=value ...]

prints the resolved config as JSON, or refuses it, without importing torch: what a command line asks for is checked
before any process group exists. Your own recipe is `path/to/file.py:function`, called with the DataIndex (or with
nothing) and returning a RunConfig; its `ModelConfig(family="custom", builder="path/to/file.py:build")` may name your
own network.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import sys
from typing import Any

from model_code.arguments import Arguments
from model_code.config import ModelConfig, RunConfig, TrainConfig, override, to_json
from model_code.data.index import DataIndex, load_index
from model_code.errors import InputError, run_stage, unknown_key
from model_code.functions import load_function

KIND_OF_FAMILY = {"resnet": "images", "bert": "text", "gpt": "tokens"}
FEW_TEXTS = (
    50_000  # training texts; below, a network from scratch learns them by heart unless dropout is high
)


def resnet(index: DataIndex) -> RunConfig:
    """Images: torchvision's ResNet with one basic block a stage (4.9 million parameters)."""
    image = index.image
    tiny = image is not None and min(image.height, image.width) <= 16
    # 16 and more, so that batch norm has 8 samples to measure on each of two processes.
    batch = _batch(index, 64 if tiny else 32, least=16)
    return RunConfig(
        recipe="resnet",
        model=ModelConfig(family="resnet", layers=(1, 1, 1, 1)),
        train=_timed(
            index,
            fewest=300,
            most=300 if tiny else 450,
            global_batch=batch,
            learning_rate=2e-3,
            weight_decay=0.05,
            label_smoothing=0.1,
        ),
    )


def bert(index: DataIndex, pretrained: str = "") -> RunConfig:
    """Texts: a small encoder trained from scratch, or a pretrained one fine-tuned gently for 3 passes."""
    samples = index.splits["train"].samples
    mean_bytes = 0.0 if index.text is None else index.text.mean_bytes
    # A token of a small BPE is 3 to 4 bytes; the end of the longest texts tells little of a class and costs time.
    tokens = min(256, max(32, 16 * math.ceil(mean_bytes / 3 * 1.25 / 16)))
    batch = _batch(index, 32)
    model = ModelConfig(
        family="bert",
        pretrained=pretrained,
        layers=(2,),
        width=128,
        heads=4,
        vocabulary=8192,
        max_tokens=tokens,
        dropout=0.3 if samples < FEW_TEXTS and not pretrained else 0.1,
    )
    if pretrained:
        train = TrainConfig(epochs=3, global_batch=batch, learning_rate=5e-5, weight_decay=0.01)
    else:
        train = _timed(
            index,
            fewest=300,
            most=700,
            global_batch=batch,
            learning_rate=5e-4,
            weight_decay=0.05,
            label_smoothing=0.1,
        )
    return RunConfig(recipe="bert", model=model, train=train)


def gpt(index: DataIndex) -> RunConfig:
    """Token blocks: a small decoder, with the data set's own tokenizer and block as its context."""
    block = 128 if index.tokens is None else index.tokens.block
    batch = _batch(index, 32)
    return RunConfig(
        recipe="gpt",
        model=ModelConfig(family="gpt", layers=(4,), width=192, heads=4, max_tokens=block, dropout=0.0),
        train=_timed(
            index,
            fewest=300,
            most=500,
            global_batch=batch,
            learning_rate=3e-3,
            weight_decay=0.1,
        ),
    )


RECIPES = {"resnet": resnet, "bert": bert, "gpt": gpt}


def resolve(name: str, index: DataIndex) -> RunConfig:
    """Return what a recipe says for a data set.

    Args:
        name: a built-in recipe, or `path/to/file.py:function`.
        index: the data set.

    Raises:
        InputError: no such recipe, it does not fit the data, or the user's function returns something else.
    """
    if ":" not in name and "/" not in name:
        if name not in RECIPES:
            raise unknown_key("recipe", name, RECIPES)
        config = RECIPES[name](index)
    else:
        function = load_function(name, "recipe")
        config = function(index) if inspect.signature(function).parameters else function()
        if not isinstance(config, RunConfig):
            raise InputError(f"recipe `{name}` must return a RunConfig, it returned {type(config).__name__}")
        config = dataclasses.replace(config, recipe=name)
    check_fits(config.model, index)
    return config


def configure(recipe: str, data: str, words: list[str]) -> tuple[RunConfig, DataIndex]:
    """Return the complete config that a command line asks for, and the index of its data.

    Args:
        recipe: see `resolve`.
        data: URI of the ready shards.
        words: overrides such as `train.epochs=3`.

    Raises:
        InputError: data, recipe or a setting is wrong.
    """
    index = load_index(data)
    config = resolve(recipe, index)
    changed = override(config, words)
    if recipe == "bert" and changed.model.pretrained:
        # Fine-tuning wants another recipe than training from scratch; the words still have the last say.
        changed = override(bert(index, changed.model.pretrained), words)
    check_fits(changed.model, index)
    return dataclasses.replace(changed, data=data), index


def check_fits(model: ModelConfig, index: DataIndex) -> None:
    """Refuse a network that a data set cannot train.

    Raises:
        InputError: naming the recipe or the value that would fit.
    """
    wanted = KIND_OF_FAMILY.get(model.family, index.kind)
    if wanted != index.kind:
        fitting = next(family for family, kind in KIND_OF_FAMILY.items() if kind == index.kind)
        raise InputError(
            f"recipe {model.family} needs data of kind {wanted}, got `{index.dataset}` of kind {index.kind}; "
            f"use --recipe {fitting}"
        )
    if index.tokens is not None and index.tokens.block % model.max_tokens:
        raise InputError(
            f"model.max_tokens must divide the data's block of {index.tokens.block} tokens, got {model.max_tokens}; "
            f"set model.max_tokens={index.tokens.block}"
        )


def _batch(index: DataIndex, usual: int, *, least: int = 8) -> int:
    """Return the usual batch, less for a data set that would not fill 8 of them: a power of 2."""
    eighth = max(1, index.splits["train"].samples // 8)
    return max(least, min(usual, 1 << eighth.bit_length() - 1))


def _timed(index: DataIndex, *, fewest: int, most: int, global_batch: int, **others: Any) -> TrainConfig:  # noqa: ANN401 - fields of TrainConfig
    """Return a training of 20 passes, more or fewer to stay within `fewest` and `most` optimizer steps.

    One pass may take twice `most`; a data set that is larger still is read in part, for the same time. Measured once a
    pass, but at least every quarter of the way and at most every 20 steps.
    """
    passes = math.ceil(index.splits["train"].samples / global_batch)
    if passes > 2 * most:
        return TrainConfig(
            epochs=1, steps=2 * most, evaluate_every=most // 2, global_batch=global_batch, **others
        )
    epochs = max(1, round(min(max(20 * passes, fewest), most) / passes))
    every = max(20, min(passes, epochs * passes // 4))
    return TrainConfig(epochs=epochs, evaluate_every=every, global_batch=global_batch, **others)


def main(words: list[str]) -> None:
    """Print the config that a command line asks for."""
    parser = Arguments(prog="python -m model_code.recipes", description="Resolve and check a run's config.")
    parser.add_argument("--recipe", required=True, help="resnet, bert, gpt or path/to/file.py:function")
    parser.add_argument("--data", required=True, help="URI of ready shards (the folder of index.json)")
    asked, settings = parser.parse_known_args(words)
    config, _ = configure(asked.recipe, asked.data, settings)
    sys.stdout.write(to_json(config))


if __name__ == "__main__":
    run_stage(main)
