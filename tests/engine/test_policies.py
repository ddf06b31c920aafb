"""The policy pack judges a stack that is up, where nothing is unknown any more: every policy document is read."""

from __future__ import annotations

import os

import pytest

from infra.cli.errors import InputError
from infra.rehearsal.stack import Deployment
from tests.policy_engine import PACK, NoPackError, prepare


@pytest.fixture(scope="module", autouse=True)
def pack() -> None:
    """The pack's environment."""
    try:
        prepare()
    except (NoPackError, InputError) as missing:
        pytest.skip(f"the policy pack cannot run: {missing}")


def said(deployment: Deployment) -> list[str]:
    """Return what the engine says of a stack that is up when the pack is asked too."""
    workspace, lines = deployment.stack.workspace, list[str]()
    before = workspace.env_vars
    workspace.env_vars = {**before, "PATH": os.pathsep.join([str(PACK / "bin"), before["PATH"]])}
    try:
        deployment.stack.preview(program=deployment.program, policy_packs=[str(PACK)], on_output=lines.append)
    finally:
        workspace.env_vars = before
    return lines


def test_dev_passes_the_pack_when_it_is_up(dev: Deployment) -> None:
    """The engine hands over what was made, with the emulated account's ids and ARNs."""
    lines = said(dev)
    assert [line for line in lines if "[mandatory]" in line or "[advisory]" in line] == []
    assert any("✅ skylift@" in line for line in lines), lines
