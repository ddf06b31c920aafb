"""The policy pack as a user runs it: started by the real engine, in its own environment, beside a preview."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pulumi_aws.ec2 as ec2
import pytest

from infra.cli.errors import InputError
from infra.program import program
from tests.policy_engine import NoPackError, prepare, preview

MANDATORY = re.compile(r"\[mandatory\].* (p\d\d-[a-z0-9-]+) ")
ADVISORY = re.compile(r"\[advisory\].* (p\d\d-[a-z0-9-]+) ")


@pytest.fixture(scope="module")
def engine() -> Path:
    """The engine's folder, with the pack's environment made."""
    try:
        return prepare()
    except (NoPackError, InputError) as missing:
        pytest.skip(f"the policy pack cannot run: {missing}")


@pytest.fixture(autouse=True)
def on_path(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Automation API looks for the engine on this process's PATH."""
    monkeypatch.setenv("PATH", f"{engine}{os.pathsep}{os.environ['PATH']}")


def mutant() -> None:
    """The real program with a template that any policy pack should stop, and a group of nobody."""
    program()
    ec2.LaunchTemplate("mutant", image_id="resolve:ssm:/aws/service/image", key_name="mine")
    ec2.SecurityGroup("unused", description="of nobody")


def test_the_program_passes_the_pack(engine: Path, tmp_path: Path) -> None:
    """The engine loaded the pack, asked it of every resource of the production example, and nothing was said."""
    said = preview("prod", program, engine, tmp_path)
    assert _named(MANDATORY, said) | _named(ADVISORY, said) == set()
    assert any(re.search(r"skylift@v.*\(local: .*tests/policy\)", line) for line in said), said
    assert any(re.search(r"\+ 1\d\d to create", line) for line in said), said


def test_a_broken_program_is_stopped_by_name(engine: Path, tmp_path: Path) -> None:
    """Each row that the mutant breaks is named, those of one resource as those that need all of them."""
    said = preview("dev", mutant, engine, tmp_path)
    assert _named(MANDATORY, said) == {
        "p12-attached",
        "p13-imdsv2",
        "p14-one-hop",
        "p15-encrypted-volumes",
        "p16-no-public-address",
        "p18-sessions",
        "p19-profile",
        "p21-image-by-id",
    }
    assert _named(ADVISORY, said) == {"p20-monitored"}


def _named(level: re.Pattern[str], said: list[str]) -> set[str]:
    return {found[1] for found in map(level.search, said) if found}
