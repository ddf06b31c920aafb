"""A stack's settings as its file and Pulumi.yaml hold them: read without the engine, held to the same rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml

from infra.cli.errors import InputError

if TYPE_CHECKING:
    from infra.settings import Settings

ROOT = Path(__file__).parents[2]
"""The repository."""


def stack_settings(
    stack: str, root: Path = ROOT, *, changed: Mapping[str, object] = MappingProxyType({})
) -> Settings:
    """Return a stack's settings.

    Args:
        stack: its name, as in `Pulumi.<stack>.yaml`.
        root: folder of Pulumi.yaml.
        changed: settings beside those of its file, or instead of them, by full key.

    Raises:
        InputError: no such stack, or a setting that the preview would refuse too.
    """
    from infra.config import parse, refuse_unknown  # Pulumi takes a second to load: only who asks pays it
    from infra.rules import SettingError

    project = _read(root / "Pulumi.yaml")
    folder = root / str(project.get("stackConfigDir", "."))
    path = folder / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = sorted(one.name.split(".")[1] for one in folder.glob("Pulumi.*.yaml"))
        raise InputError(
            f"--stack must name a file Pulumi.STACK.yaml in {folder}, got `{stack}`; there are: {', '.join(known)}"
        )
    name = str(project["name"])
    values = {key: text(one.get("default")) for key, one in project["config"].items() if "default" in one}
    written = {**_read(path)["config"], **changed}
    given = {key if ":" in key else f"{name}:{key}": text(one) for key, one in written.items()}
    try:
        refuse_unknown(name, given)
        own = {key.removeprefix(f"{name}:"): one for key, one in given.items() if key.startswith(f"{name}:")}
        return parse({**values, **own}, stack=stack, region=given.get("aws:region", ""))
    except SettingError as error:
        raise InputError(str(error)) from None


def text(value: object) -> str:
    """Return a value of a YAML file as the engine hands it over: a list is JSON, a switch is `true` or `false`."""
    return value if isinstance(value, str) else json.dumps(value)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path} must be a YAML file that can be read: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} must hold settings below `config`, got `{found}`; see infra/stacks")
    return {"config": {}, **found}
