"""Check a recipe's name and its settings before anything is read, written or spent (no torch: a fraction of a second).

python -m model_code.check --recipe resnet train.epochs=3
"""

from __future__ import annotations

import json

from model_code.arguments import Arguments
from model_code.config import ModelConfig, RunConfig, override
from model_code.errors import run_stage, unknown_key
from model_code.functions import split_name
from model_code.recipes import RECIPES


def check(recipe: str, words: list[str]) -> None:
    """Refuse an unknown recipe, an unknown setting, a value of the wrong type or outside its range.

    What depends on the data (a recipe that does not fit it, 4 stages for a resnet) is checked once it is read.

    Raises:
        InputError: the first thing that is wrong.
    """
    if ":" in recipe:
        split_name(recipe, "recipe")
    elif recipe not in RECIPES:
        raise unknown_key("recipe", recipe, RECIPES)
    # A custom model has no rules of its own beyond the fields': the right thing to try settings on.
    override(RunConfig(recipe=recipe, model=ModelConfig(family="custom", builder="x.py:x")), words)


def main(words: list[str]) -> None:
    """Check, and print the recipe's name as JSON."""
    parser = Arguments(prog="model_code.check")
    parser.add_argument("--recipe", required=True)
    args, settings = parser.parse_known_args(words)
    check(args.recipe, settings)
    print(json.dumps({"recipe": args.recipe}))  # noqa: T201 - the stage's result


if __name__ == "__main__":
    run_stage(main)
