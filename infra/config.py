"""The only reader of the stack's settings: Pulumi.yaml and the stack's file in, one frozen `Settings` out.

No default stands here: Pulumi.yaml holds them all, and the engine hands over what the stack's file leaves out.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env

from infra.credentials import region_of
from infra.rules import Rule, SettingError, read
from infra.setting_pairs import disagreement
from infra.settings import Settings

__all__ = ["SettingError", "Settings", "credentials_named", "load", "parse", "rules", "setting_name"]

PROJECT = "skylift"
"""The project as it ships; `pulumi new` may give a copy another name, and the example stacks keep this one."""
GIVEN = ("stack", "region")
"""Fields that are no settings of the project."""
CREDENTIALS = ("accessKey", "assumeRoles", "assumeRoleWithWebIdentity", "profile", "sharedCredentialsFiles")
"""Settings of the AWS provider that say where its credentials come from."""


def load() -> Settings:
    """Return the settings of the stack that is being run.

    Raises:
        pulumi.RunError: a setting is unknown, missing or wrong: the preview ends with one line.
    """
    project = pulumi.get_project()
    config = pulumi.Config()
    names = rules()
    values = {name: text for name in names if (text := config.get(name)) is not None}
    aws = pulumi.Config("aws")
    region = aws.get("region") or region_of(aws.get("profile") or "")
    try:
        refuse_unknown(project, {**get_config_env(), **CONFIG.get()})
        return parse(values, stack=pulumi.get_stack(), region=region)
    except SettingError as error:
        raise pulumi.RunError(str(error)) from None


def credentials_named() -> bool:
    """Return whether the stack's file says where the AWS credentials come from."""
    config = pulumi.Config("aws")
    return any(config.get(name) for name in CREDENTIALS)


def refuse_unknown(project: str, keys: Iterable[str]) -> None:
    """Refuse a key of this project that is no setting, and one of the project that a copy was made from.

    Raises:
        SettingError: names the setting that it is nearest to.
    """
    for key in sorted(keys):
        space, _, name = key.partition(":")
        if space == project and name not in rules():
            near = get_close_matches(name, rules(), n=1)
            hint = f"did you mean `{near[0]}`? " if near else ""
            raise SettingError(
                f"`{key}` is no setting of this project; {hint}remove it with: pulumi config rm {name}"
            )
        if space == PROJECT and space != project:
            raise SettingError(
                f"`{key}` is a setting of project `{PROJECT}`, and this project is `{project}`; "
                f"write it so: sed -i 's/{PROJECT}:/{project}:/' infra/stacks/*.yaml"
            )


def parse(values: Mapping[str, str], *, stack: str, region: str) -> Settings:
    """Return the settings, each read as its type and held to its rule, then to those of pairs.

    Args:
        values: texts by the names of Pulumi.yaml, all of them.
        stack: the stack's name.
        region: of the stack, or empty.

    Raises:
        SettingError: one line that names setting, rule, value received and next step.
    """
    _, region_rule = rules(of_project=False)["region"]
    found: dict[str, Any] = {"stack": stack, "region": read("aws:region", region, str, region_rule)}
    for field in fields(Settings):
        if field.name in GIVEN:
            continue
        name = setting_name(field.name)
        if name not in values:
            raise SettingError(
                f"{name} must be set, and Pulumi.yaml holds no default; take Pulumi.yaml as the project ships it"
            )
        kind, rule = rules()[name]
        found[field.name] = read(name, values[name], kind, rule)
    settings = Settings(**found)
    wrong = disagreement(settings)
    if wrong:
        raise SettingError(wrong)
    return settings


def setting_name(field: str) -> str:
    """Return a field's name in Pulumi.yaml: `train_min_nodes` is `trainMinNodes`."""
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), field)


@cache
def rules(*, of_project: bool = True) -> dict[str, tuple[Any, Rule]]:
    """Return type and rule of every setting, by its name in Pulumi.yaml (or of the other fields)."""
    hints = typing.get_type_hints(Settings, include_extras=True)
    found = {}
    for field, hint in hints.items():
        if (field in GIVEN) is of_project or typing.get_origin(hint) is not typing.Annotated:
            continue
        kind, rule = typing.get_args(hint)
        found[setting_name(field)] = (str if typing.get_origin(kind) is Literal else kind, rule)
    return found
