"""An emulated account and the environment in which the engine deploys to it: by the real AWS plugin or the stand-in."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console

from infra.rehearsal.emulator import PLUGIN, Emulator, start_emulator
from infra.rehearsal.engine import require_engine
from infra.rehearsal.inventory import inventory_of
from infra.rehearsal.stack import engine_environment

SERVICES = (
    *("acm", "autoscaling", "backup", "budgets", "cloudwatch", "ec2", "elbv2", "iam", "kms", "logs"),
    *("route53", "s3", "servicequotas", "sns", "ssm", "sts", "wafv2"),
)
"""What the program speaks to, as the real plugin names endpoints."""


IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
"""An image that the emulator knows; it does not know the one with NVIDIA's drivers."""


@cache
def engine_folder() -> Path:
    """Return the folder of the Pulumi CLI."""
    return require_engine(Console(stderr=True)).parent


@cache
def has_real_plugin() -> bool:
    """Return whether the AWS plugin itself is installed: then it is what the tests use."""
    command = [str(engine_folder() / "pulumi"), "plugin", "ls", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return any(one["kind"] == "resource" and one["name"] == "aws" for one in found)


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """An emulated account."""

    emulator: Emulator
    """Behind it."""

    def client(self, service: str, region: str = "eu-central-1") -> Any:
        """Return a client of one service."""
        return self.emulator.client(service, region)

    def zone(self, domain: str = "models.example.org") -> str:
        """Make the zone of a domain, as whoever owns the domain has one, and return its id."""
        made = self.client("route53").create_hosted_zone(Name=domain, CallerReference=domain)
        return str(made["HostedZone"]["Id"]).rpartition("/")[2]

    def inventory(self, region: str = "eu-central-1") -> dict[str, set[str]]:
        """Return what the account has in a region, with what the stand-in only records."""
        return inventory_of(self.emulator, region)

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the engine's environment, with all that the engine keeps in a folder."""
        environment = engine_environment(self.emulator, engine_folder() / "pulumi", folder)
        if has_real_plugin():  # it lies in the user's own Pulumi home
            del environment["PULUMI_HOME"]
            environment["PATH"] = environment["PATH"].replace(f"{PLUGIN}{os.pathsep}", "")
        return environment

    def settings(self) -> dict[str, object]:
        """Return what the stack's file needs beside the example's."""
        image: dict[str, object] = {"skylift:imageParameter": IMAGE}
        if not has_real_plugin():
            return image
        return {
            **image,
            "aws:endpoints": [dict.fromkeys(SERVICES, self.emulator.endpoint)],
            "aws:s3UsePathStyle": True,
            "aws:skipCredentialsValidation": True,
        }


@contextmanager
def start_cloud(folder: Path) -> Iterator[Cloud]:
    """Start an emulated account that is empty, and end it.

    Args:
        folder: for what the emulator writes.
    """
    with start_emulator(folder) as emulator:
        yield Cloud(emulator=emulator)
