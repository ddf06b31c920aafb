"""Memory: what is free, what a release may take, and what its processes have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from serve_config.footprint import (
    MIB,
    SERVER_BYTES,
    SLACK_BYTES,
    allowed_bytes,
    family,
    free_bytes,
    group_bytes,
    kill_first,
    needed_bytes,
    used_bytes,
)
from serve_config.verify import Pointer, Release, fetch_release
from tests.serving import NAME, new_signer, write_artifact, write_release
from tests.serving_node import until


def release(worker_bytes: int) -> Release:
    """Return a release whose worker was measured."""
    return Release(
        name="m", version="v", archive=Path("m.mar"), archive_version="1", model={}, worker_bytes=worker_bytes
    )


def test_the_measured_memory_comes_with_the_release(tmp_path: Path) -> None:
    """The gate's report names it for the chosen candidate; a report without it is a release all the same."""
    signer, artifact = new_signer(), write_artifact(tmp_path / "artifact")
    for peak in (0, 123 * MIB):
        version = write_release(tmp_path, artifact, signer, peak_bytes=peak).name
        named, key = Pointer(name=NAME, version=version, counter=1), signer.key.public_key()
        found = fetch_release(str(tmp_path), named, key, tmp_path / f"fetched-{peak}")
        assert found.worker_bytes == peak


def test_what_a_release_needs() -> None:
    """Each worker what the gate measured, and the server; nothing is known where the report says nothing."""
    assert needed_bytes(release(100 * MIB), 3) == 300 * MIB + SERVER_BYTES
    assert needed_bytes(release(0), 3) == 0


@pytest.mark.parametrize(
    ("needed", "free", "allowed"),
    [
        (100 * MIB, 8000 * MIB, 200 * MIB + SLACK_BYTES),
        (100 * MIB, 300 * MIB, 300 * MIB),
        (0, 300 * MIB, 300 * MIB),
    ],
)
def test_what_a_release_may_take(needed: int, free: int, allowed: int) -> None:
    """Not much more than it needs, and never more than is free."""
    assert allowed_bytes(needed, free) == allowed


def test_the_least_of_machine_group_and_setting_is_free() -> None:
    """A limit of ours counts where it is the tightest, and only then."""
    machine = free_bytes(0, 0)
    assert 0 < machine <= psutil.virtual_memory().total
    assert free_bytes(100 * MIB, 30 * MIB) == 70 * MIB
    assert free_bytes(1 << 60, 0) == pytest.approx(machine, rel=0.2)


def test_the_limits_of_control_groups(tmp_path: Path) -> None:
    """Every group above us counts; files that can be dropped are free; no limit is no limit."""
    own, groups = tmp_path / "cgroup", tmp_path / "groups"
    inner = groups / "node" / "service"
    inner.mkdir(parents=True)
    own.write_text("0::/node/service\n")
    for folder, most in ((inner, "max"), (inner.parent, str(1000 * MIB))):
        (folder / "memory.max").write_text(f"{most}\n")
        (folder / "memory.current").write_text(f"{600 * MIB}\n")
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {100 * MIB}\n")
    assert group_bytes(own, groups) == [500 * MIB]
    own.write_text("4:memory:/old\n")
    assert group_bytes(own, groups) == []
    assert group_bytes(tmp_path / "none", groups) == []


def test_the_memory_of_a_family_of_processes() -> None:
    """All processes of a group count, and the kernel is told to take them first, until that is taken back."""
    code = (
        "import subprocess, sys; held = b'x' * (64 << 20); subprocess.run([sys.executable, '-c', 'input()'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True
    ) as leader:
        try:
            until(lambda: len(family(leader.pid)) == 2, 30, "both processes run")
            assert 70 * MIB < used_bytes(leader.pid) < 400 * MIB
            kill_first(leader.pid, first=True)
            scores = [Path(f"/proc/{pid}/oom_score_adj") for pid in family(leader.pid)]
            assert {score.read_text() for score in scores} == {"1000\n"}
            kill_first(leader.pid, first=False)
            assert {score.read_text() for score in scores} == {Path("/proc/self/oom_score_adj").read_text()}
        finally:
            os.killpg(leader.pid, 9)
    until(lambda: used_bytes(leader.pid) == 0, 30, "both have ended")
