"""Settings on the command line: words such as `train.epochs=3`, sorted by the stage that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import typer

from infra.cli.errors import InputError


def tolerance_setting(tolerance: float | None) -> list[str]:
    """Return `--tolerance` as a setting; where it is not given, the recipe's own counts."""
    return [] if tolerance is None else [f"compress.tolerance={tolerance}"]


def settings_of(context: typer.Context) -> list[str]:
    """Return the words that are settings, each as one `key=value`, however it was written.

    Raises:
        InputError: an option that the command does not have.
    """
    options = [option for parameter in context.command.params for option in parameter.opts]
    settings, words_left = [], list(context.args)
    while words_left:
        word = words_left.pop(0)
        option = word.partition("=")[0]
        if option.startswith("-") and "." not in option:
            near = get_close_matches(option, options, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"see skylift {context.info_name} --help"
            raise InputError(f"unknown option `{option}`; {hint}")
        if word.startswith("--") and "=" not in word and words_left:
            word = f"{word}={words_left.pop(0)}"
        settings.append(word.removeprefix("--"))
    return settings


def split_settings(settings: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the settings of training and those of compression.

    A run is named by what it was trained with: another tolerance is another look at the same run.
    """
    compression = [word for word in settings if word.startswith("compress.")]
    return [word for word in settings if word not in compression], compression
