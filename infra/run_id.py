"""A run's id before any node exists: the hash of what decides the training's outcome. Pure.

The room of training names a run by the resolved recipe and the data's content, which are known only on a node. This id
is the operator's: it names the group that trains, so that the same `pulumi up` again changes nothing, an edit of
serving code leaves a running training alone, and another recipe or other training code is another group.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

DIGITS = 12
"""Hexadecimal digits of the hash: 48 bits are plenty for the runs of one project."""
BUILT_IN = ("resnet", "bert", "gpt")
"""Recipes that have a name of their own; a run of any other is called `custom`."""


def run_id(*, recipe: str, settings: Sequence[str], data: str, model_name: str, code: str) -> str:
    """Return the run's id: the recipe, then a hash.

    Args:
        recipe: name of a built-in recipe, or `model_code/file.py:function`.
        settings: `key=value` words that change the recipe, in any order.
        data: the source's name or URI.
        model_name: what the run publishes under: a run that is done stays done, so a new name needs a new run.
        code: identity of the train bundle: its Python sources and the locked packages of its group.
    """
    facts = {
        "recipe": recipe,
        "settings": sorted(settings),
        "data": data,
        "model_name": model_name,
        "code": code,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return f"{recipe if recipe in BUILT_IN else 'custom'}-{digest[:DIGITS]}"
