"""Credentials and region are found where every AWS tool looks, and their absence is no stack trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.credentials import has_credentials, region_of
from tests.aws_machine import without_aws

PROFILES = """\
[default]
region = eu-west-1

[profile work]
region = eu-north-1
aws_access_key_id = testing
aws_secret_access_key = testing
"""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without a word about AWS; the path of its configuration file."""
    return without_aws(monkeypatch, tmp_path)


def test_a_bare_machine_has_neither(machine: Path) -> None:
    """Nothing is found, nothing is raised."""
    assert not machine.exists()
    assert not has_credentials()
    assert region_of() == ""


def test_a_profile_that_is_not_there_has_neither(machine: Path) -> None:
    """A name that no file knows is said by the caller, in one line."""
    machine.write_text(PROFILES)
    assert not has_credentials("gone")
    assert region_of("gone") == ""


def test_profiles_are_read(machine: Path) -> None:
    """The named one, else the default one."""
    machine.write_text(PROFILES)
    assert (region_of(), has_credentials()) == ("eu-west-1", False)
    assert (region_of("work"), has_credentials("work")) == ("eu-north-1", True)


def test_the_environment_counts_before_the_default_profile(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS_REGION counts before AWS_DEFAULT_REGION, as for the provider."""
    machine.write_text(PROFILES)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    assert region_of() == "us-east-2"
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert region_of() == "us-east-1"


def test_keys_in_the_environment_are_credentials(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is needed."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    assert not machine.exists()
    assert has_credentials()
