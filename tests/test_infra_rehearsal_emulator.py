"""The emulator and the stand-in as processes: they serve, keep what is recorded, and end with whoever started them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.rehearsal.emulator import PLUGIN, start_emulator
from infra.rehearsal.provider import lifecycle
from infra.rehearsal.provider.clients import Clients
from infra.rehearsal.provider.recorded import Records
from infra.rehearsal.provider.table import row_of
from infra.rehearsal.provider.target import CallError, Target


def target(token: str, **inputs: object) -> Target:
    """Return a resource that is asked for."""
    urn = f"urn:pulumi:dev::skylift::{token}::it"
    return Target(row=row_of(token), urn=urn, clients=Clients("eu-central-1"), inputs=dict(inputs))


def test_the_plugin_ends_with_the_engine() -> None:
    """Its input closes when the engine dies, however that comes: no plugin is left behind."""
    plugin = subprocess.Popen(
        [PLUGIN / "pulumi-resource-aws"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "SKYLIFT_PYTHON": sys.executable},
    )
    assert plugin.stdin is not None
    assert plugin.stdout is not None
    assert plugin.stdout.readline().strip().isdecimal()
    plugin.stdin.close()
    assert plugin.wait(timeout=60) == 0
    plugin.stdout.close()


def test_a_life_and_a_repeated_creation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for twice, a network is there once; deleted and asked for again, it is another one; drift is seen."""
    with start_emulator(tmp_path) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        ask = {"cidrBlock": "10.7.0.0/16", "tags": {"Owner": "me"}}
        first, again = target("aws:ec2/vpc:Vpc", **ask), target("aws:ec2/vpc:Vpc", **ask)
        lifecycle.create(first)
        lifecycle.create(again)
        assert first.id == again.id
        emulator.client("ec2").create_tags(Resources=[first.id], Tags=[{"Key": "Owner", "Value": "you"}])
        found = lifecycle.read(first)
        assert found is not None
        assert found[0] == {**ask, "tags": {"Owner": "you"}}
        lifecycle.delete(first)
        assert lifecycle.read(first) is None
        lifecycle.create(again)
        assert again.id != first.id
        refused = target("aws:ec2/subnet:Subnet", vpcId="vpc-0", cidrBlock="10.7.0.0/24")
        with pytest.raises(CallError, match=r"^aws:ec2/subnet:Subnet `it`: ec2.create_subnet: .*vpc-0"):
            lifecycle.create(refused)


def test_what_is_recorded_is_validated_and_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By botocore's own check, in a file, until it is deleted."""
    with start_emulator(tmp_path) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        token, records = "aws:ec2/placementGroup:PlacementGroup", Records(emulator.records)
        group = target(token, name="close", strategy="cluster")
        group.state = lifecycle.create(group)
        assert records.identities() == {group.state["recorded"]}
        assert lifecycle.read(group) == (group.inputs, group.state)
        lifecycle.delete(group)
        assert lifecycle.read(group) is None
        assert records.identities() == set()
        with pytest.raises(CallError, match="Missing required parameter in BackupSelection"):
            lifecycle.create(target("aws:backup/selection:Selection", planId="a", name="all"))
