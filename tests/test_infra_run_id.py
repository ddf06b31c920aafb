"""The operator's run id: what decides a training's outcome changes it, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from infra.run_id import run_id

RUN: dict[str, Any] = {
    "recipe": "resnet",
    "settings": ["train.epochs=3", "compress.tolerance=0.01"],
    "data": "digits",
    "model_name": "model",
    "code": "c0de",
}


def test_the_id_is_pinned() -> None:
    """A change of the hash itself would replace every running training."""
    assert run_id(**RUN) == "resnet-5b3f4d8a203c"


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ("recipe", "bert"),
        ("settings", ["train.epochs=4", "compress.tolerance=0.01"]),
        ("settings", ["train.epochs=3"]),
        ("data", "s3://bucket/shards"),
        ("model_name", "other"),
        ("code", "c0df"),
    ],
)
def test_another_run_has_another_id(changed: str, value: object) -> None:
    """Each fact counts."""
    assert run_id(**{**RUN, changed: value}) != run_id(**RUN)


def test_the_order_of_settings_is_no_difference() -> None:
    """Settings never name one key twice, so their order decides nothing."""
    assert run_id(**{**RUN, "settings": list(reversed(RUN["settings"]))}) == run_id(**RUN)


def test_a_recipe_of_your_own_is_called_custom() -> None:
    """A path is no part of a physical name."""
    assert run_id(**{**RUN, "recipe": "model_code/mine.py:small"}).startswith("custom-")
