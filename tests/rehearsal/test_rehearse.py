"""`skylift rehearse`, the whole of it: one world for the deployment, and for the quick third of the faults in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.rehearsal.faults.registry import FAULTS
from infra.rehearsal.folder import Folder, is_up
from infra.rehearsal.machines.namespaces import hindrance
from infra.rehearsal.result import Result, from_json

QUICK = [name for name, fault in FAULTS.items() if fault.quick]
MOST_SECONDS = 1200
"""It takes a few minutes; the machine may be busy."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The folder of a rehearsal that is over."""
    if reason := hindrance():
        pytest.skip(reason)
    folder = Folder(path=tmp_path_factory.mktemp("rehearsal"))
    faults = [f"--fault={name}" for name in QUICK]
    command = [str(Path(sys.executable).with_name("skylift")), "rehearse", "--out", str(folder.path), *faults]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=MOST_SECONDS)
    said = done.stdout[-6000:] + done.stderr[-6000:]
    assert done.returncode == 0, said
    return folder


@pytest.fixture(scope="module")
def result(folder: Folder) -> Result:
    """What it wrote for programs."""
    return from_json(folder.result.read_bytes())


@pytest.mark.slow
@pytest.mark.timeout(MOST_SECONDS + 60)
def test_two_hosts_train_and_what_is_served_is_what_was_released(result: Result) -> None:
    """From an empty account to answers through the load balancer."""
    assert result.outcome == ""
    assert result.training is not None
    assert (result.training.nodes, result.training.processes) == (2, 2)
    assert result.release is not None
    assert result.release.chosen
    assert result.serving is not None
    assert result.serving.requests > 300
    assert (result.serving.agreeing, result.serving.failed) == (result.serving.requests, 0)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_nodes_ask_for_nothing_that_they_may_not(result: Result) -> None:
    """The deployed policies are enough for all that the nodes did; they did a lot."""
    assert result.denials == ()
    nodes = [one for one in result.calls if one.who.startswith("access-")]
    assert sum(one.allowed for one in nodes) > 100


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_nothing_is_left(result: Result, folder: Folder) -> None:
    """Neither in the account, by its own lists, nor of processes, locks and sockets."""
    assert result.left == ()
    assert not is_up(folder)
    assert not Path(folder.written()["short"]).exists()
    assert folder.report.is_file()


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", QUICK)
def test_what_is_promised_of_a_fault_holds(result: Result, name: str) -> None:
    """Each was done, and judged."""
    (fault,) = [one for one in result.faults if one.name == name]
    assert fault.held, fault.measured
