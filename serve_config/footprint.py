"""How much memory there is, and how much a release takes: asked before it is loaded, and while it is."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import psutil

from serve_config.verify import Release

MIB = 1 << 20

SERVER_BYTES = 256 * MIB
"""Of the Java server beside its workers; measured 218 MB idle, 239 MB after 16,000 requests."""

SLACK = 2
"""A release may take so many times what was measured: loading needs more for a moment, and machines differ."""

SLACK_BYTES = 512 * MIB
"""And so much on top: a small model's interpreter is most of it."""

CGROUPS = Path("/sys/fs/cgroup")
LOOK_SECONDS = 0.05
"""Between two looks at a release that is loading."""

KILLED_FIRST, AS_WE_ARE = "1000", Path("/proc/self/oom_score_adj")
"""Where memory runs out in spite of all, the kernel kills what has the highest number."""


def needed_bytes(release: Release, workers: int) -> int:
    """Return what a release is expected to take, 0 where its report does not say."""
    return workers * release.worker_bytes + SERVER_BYTES if release.worker_bytes else 0


def allowed_bytes(needed: int, free: int) -> int:
    """Return what a release may take before it is stopped: of what is free, not much more than it needs."""
    return min(free, SLACK * needed + SLACK_BYTES) if needed else free


def free_bytes(limit: int, used: int) -> int:
    """Return the memory that is free for model servers.

    Args:
        limit: what they may use together; 0: there is no such limit.
        used: what they use.
    """
    free = [psutil.virtual_memory().available, *group_bytes(Path("/proc/self/cgroup"), CGROUPS)]
    return min([*free, limit - used] if limit else free)


def group_bytes(own: Path, groups: Path) -> list[int]:
    """Return what each control group above us leaves; version 2 only, which every current system has.

    Args:
        own: file that names our group.
        groups: where they are mounted.
    """
    lines = own.read_text().splitlines() if own.exists() else []
    names = [line.removeprefix("0::").strip("/") for line in lines if line.startswith("0::")]
    above = [folder for name in names for folder in (groups / name, *(groups / name).parents)]
    return [
        int(limit) - _group_used(folder)
        for folder in above
        if folder.is_relative_to(groups) and (folder / "memory.max").exists()
        if (limit := (folder / "memory.max").read_text().strip()) != "max"
    ]


def _group_used(group: Path) -> int:
    facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return int((group / "memory.current").read_text()) - int(
        facts["inactive_file"]
    )  # files that can be dropped


def family(leader: int) -> list[int]:
    """Return the ids of the processes of a group."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == leader:
                found.append(pid)
    return found


def used_bytes(leader: int) -> int:
    """Return the resident memory of a group of processes; what they share counts more than once."""
    total = 0
    for pid in family(leader):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += psutil.Process(pid).memory_info().rss
    return total


def kill_first(leader: int, *, first: bool) -> None:
    """Say whether the kernel should take a group before all others where memory runs out; children inherit it."""
    for pid in family(leader):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            Path(f"/proc/{pid}/oom_score_adj").write_text(KILLED_FIRST if first else AS_WE_ARE.read_text())
