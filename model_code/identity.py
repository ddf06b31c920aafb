"""A run's name: the hash of what decides its outcome, so that asking for the same run again finds it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

from model_code.config import RunConfig
from model_code.data.index import DataIndex
from model_code.functions import split_name

DIGITS = 12  # hexadecimal; 48 bits are plenty for the runs of one project


def run_id(config: RunConfig, index: DataIndex) -> str:
    """Return the run's id: recipe family, then a hash of config, data version and the code of this room.

    The data counts by its version, not by where it lies; the user's own files count by their content.
    """
    facts = dataclasses.asdict(config)
    facts["data"] = index.version
    if config.model.family == "custom":
        path, function = split_name(config.model.builder, "model.builder")
        facts["model"]["builder"] = [_digest(path), function]
    if ":" in config.recipe:
        facts["recipe"] = "custom"  # all that a recipe decides stands in the config that it returned
    facts["code"] = code_digest()
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return f"{config.model.family}-{digest[:DIGITS]}"


def code_digest() -> str:
    """Return the hash of all Python sources of this room."""
    room = Path(__file__).parent
    sources = {str(path.relative_to(room)): _digest(path) for path in sorted(room.rglob("*.py"))}
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
