"""The example stacks as the engine hands them over: the stack's file over the defaults of Pulumi.yaml."""

from __future__ import annotations

import json
import runpy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime.settings import get_root_resource
from pulumi.runtime.stack import Stack

from tests.mocks import ACCOUNT, Answers, Registered, record

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


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What the whole program asked for, run once against the mocks."""

    resources: list[Registered]
    """In order."""
    exports: dict[str, Any]
    """Outputs of the stack, resolved."""

    def named(self, name: str) -> Registered:
        """Return the resource of a logical name that only one has."""
        (one,) = (found for found in self.resources if found.name == name)
        return one


def answers(region: str) -> Answers:
    """Return what an account says: three zones, an image, quotas for 512 vCPUs."""
    return {
        "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": ACCOUNT},
        "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": [f"{region}{end}" for end in "cab"]},
        "aws:ssm/getParameter:getParameter": {"value": "ami-0123456789abcdef0"},
        "aws:servicequotas/getServiceQuota:getServiceQuota": {"value": 2048.0},
    }


@cache
def recorded(stack: str, *, preview: bool = False) -> Recorded:
    """Run infra/__main__.py as an example stack, as `pulumi up` does it; once, for all tests that look at it."""
    exports: dict[str, Any] = {}

    def build() -> None:
        root = get_root_resource()
        assert isinstance(root, Stack)
        runpy.run_path(str(ROOT / PROJECT["main"] / "__main__.py"))
        pulumi.Output.all(**root.outputs).apply(exports.update)

    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as cache_folder:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("XDG_CACHE_HOME", cache_folder)  # where code bundles are packed
        config = engine_config(stack)
        resources = record(
            build, answers=answers(config["aws:region"]), config=config, stack=stack, preview=preview
        )
    return Recorded(resources=resources, exports=exports)
