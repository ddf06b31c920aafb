"""The example stacks as the engine hands them over: the stack's file over the defaults of Pulumi.yaml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
"""Pulumi.yaml."""
STACKS = ("dev", "prod")
"""The example stacks."""


def text(value: object) -> str:
    """Return a setting as the engine hands it to a program: a list is JSON, a text is itself."""
    return value if isinstance(value, str) else json.dumps(value)


def defaults() -> dict[str, str]:
    """Return all defaults of Pulumi.yaml."""
    return {name: text(setting["default"]) for name, setting in PROJECT["config"].items()}


def stack_file(stack: str) -> dict[str, str]:
    """Return what a stack's file sets, by full key."""
    file = ROOT / PROJECT["stackConfigDir"] / f"Pulumi.{stack}.yaml"
    return {key: text(value) for key, value in yaml.safe_load(file.read_text())["config"].items()}


def engine_config(stack: str) -> dict[str, str]:
    """Return a stack's whole configuration, by full key."""
    return {**{f"skylift:{name}": value for name, value in defaults().items()}, **stack_file(stack)}
