"""Runs checkov, in its own environment, on stacks as Terraform plans."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.judge.terraform_plan import plan
from tests.policy.rows.resource import Stack

PROJECT = Path(__file__).parent
Finding = tuple[str, str]
"""A check's id, and the address of a resource."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What checkov says of a stack."""

    passed: frozenset[Finding]
    """Checks that passed."""
    failed: frozenset[Finding]
    """Checks that failed."""


class NoJudgeError(Exception):
    """checkov's environment cannot be made here."""


def prepare() -> None:
    """Make checkov's environment from its lock.

    Raises:
        NoJudgeError: uv is missing, or its packages cannot be fetched.
    """
    try:
        made = subprocess.run(
            ["uv", "sync", "--quiet", "--frozen", "--project", str(PROJECT)],
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=240,
        )
    except FileNotFoundError:
        raise NoJudgeError("uv is not on PATH") from None
    except subprocess.TimeoutExpired:
        raise NoJudgeError("uv sync --project tests/judge took more than 240 s") from None
    if made.returncode:
        raise NoJudgeError(f"uv sync --project tests/judge failed: {made.stderr.strip()}")


def judge(stacks: Mapping[str, Stack], folder: Path) -> dict[str, Verdict]:
    """Return checkov's verdict of each stack, all in one run.

    Args:
        stacks: by name.
        folder: for the plans.
    """
    files = {name: folder / f"{name}.json" for name in stacks}
    for name, stack in stacks.items():
        files[name].write_text(json.dumps(plan(stack.resources)))
    command = ["uv", "run", "--frozen", "--project", str(PROJECT), "checkov", "--skip-download"]
    command += ["--framework", "terraform_plan", "--output", "json", "--compact", "--soft-fail"]
    for file in files.values():
        command += ["--file", str(file)]
    run = subprocess.run(
        command, cwd=folder, env=_environment(), capture_output=True, text=True, timeout=240, check=True
    )
    results = json.loads(run.stdout)["results"]
    return {
        name: Verdict(
            passed=_findings(results["passed_checks"], file), failed=_findings(results["failed_checks"], file)
        )
        for name, file in files.items()
    }


def _findings(checks: list[dict[str, str]], file: Path) -> frozenset[Finding]:
    return frozenset(
        (one["check_id"], one["resource"]) for one in checks if Path(one["file_path"]).name == file.name
    )


def _environment() -> dict[str, str]:
    """Return this process's variables without its virtual environment, which uv would speak of."""
    return {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
