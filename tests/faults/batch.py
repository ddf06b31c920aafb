"""Faults of batch prediction: killed ranks and launchers, damaged parts, a full disk, two at once."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import psutil

from tests.faults.batches import (
    RANGES,
    failed,
    finish,
    kill,
    parts_of,
    place,
    ranks_of,
    result_of,
    start,
    wait_for_parts,
)
from tests.faults.fault import OWN_MOUNTS, Fault, Seen


def one_rank_killed(folder: Path) -> Seen:
    """SIGKILL of one of two ranks; one process ends the job."""
    at, out = place(), folder / "out.jsonl"
    process = start(at, out, ranks=2)
    wait_for_parts(out, 3, process)
    kill(ranks_of(process)[-1:])
    code, said = failed(process)
    assert code == 1
    assert len(said) == 1, said
    assert "was killed by SIGKILL" in said[0]
    result, seconds = finish(at, out, ranks=0)
    return Seen(what=f"{result['redone']} of {RANGES} ranges redone by 1 rank", recovery_seconds=seconds)


def all_killed(folder: Path) -> Seen:
    """SIGKILL of torchrun and both ranks; one process ends the job."""
    at, out = place(), folder / "out.jsonl"
    process = start(at, out, ranks=2)
    wait_for_parts(out, 3, process)
    kill([psutil.Process(process.pid), *ranks_of(process)])
    process.communicate()
    result, seconds = finish(at, out, ranks=0)
    return Seen(what=f"{result['redone']} of {RANGES} ranges redone by 1 rank", recovery_seconds=seconds)


def lone_process_killed(folder: Path) -> Seen:
    """SIGKILL of a job of one process; two ranks end it."""
    at, out = place(), folder / "out.jsonl"
    process = start(at, out, ranks=0)
    wait_for_parts(out, 3, process)
    kill([psutil.Process(process.pid)])
    process.communicate()
    result, seconds = finish(at, out, ranks=2)
    return Seen(what=f"{result['redone']} of {RANGES} ranges redone by 2 ranks", recovery_seconds=seconds)


def torchrun_killed(folder: Path) -> Seen:
    """SIGKILL of torchrun alone: its ranks end by themselves."""
    at, out = place(), folder / "out.jsonl"
    process = start(at, out, ranks=2)
    wait_for_parts(out, 3, process)
    ranks = ranks_of(process)
    kill([psutil.Process(process.pid)])
    begun = time.monotonic()
    _, alive = psutil.wait_procs(ranks, timeout=60)
    assert not alive, "a rank goes on without its launcher"
    ended = time.monotonic() - begun
    process.communicate()
    result, seconds = finish(at, out, ranks=0)
    return Seen(
        what=f"ranks ended after {ended:.1f} s; {result['redone']} of {RANGES} ranges redone",
        recovery_seconds=seconds,
    )


def damaged_parts(folder: Path) -> Seen:
    """A part flipped, one cut, one empty, one that is another range's: each done again, which is said."""
    at, out = place(), folder / "out.jsonl"
    result_of(start(at, out, ranks=0, options=["--keep-parts"]))
    out.unlink()
    flipped, cut, empty, moved, *_ = parts = parts_of(out)
    content = bytearray(flipped.read_bytes())
    content[-20] ^= 1
    flipped.write_bytes(content)
    os.truncate(cut, cut.stat().st_size - 1)
    os.truncate(empty, 0)
    moved.write_bytes(parts[-1].read_bytes())  # whole, and shorter than a range in the middle
    result = result_of(start(at, out, ranks=0))
    assert (result["redone"], result["reused"]) == (4, RANGES - 4)
    assert result["said"].count("is torn or was altered") == 4
    assert out.read_bytes() == at.answers
    return Seen(what="4 of 4 redone and said")


def full_disk(folder: Path, ranks: int = 0) -> Seen:
    """The disk of the output is full after some parts; with more room the job goes on."""
    at, disk = place(), folder / "disk"
    disk.mkdir()
    out = disk / "out.jsonl"
    script = f"""
        mount -t tmpfs -o size={len(at.answers) // 3} none {disk} || exit 99
        "$@"; echo $? > {folder}/code; ls -A {out}.parts/* > {folder}/parts; ls -A {disk} > {folder}/beside
        mount -o remount,size={4 * len(at.answers)} {disk} && "$@" && cp {out} {folder}/out.jsonl
    """
    result = result_of(start(at, out, ranks=ranks, within=[*OWN_MOUNTS, "sh", "-c", script, "sh"]))
    said = [line for line in result["said"].splitlines() if line.startswith("error: ")]
    kept = (folder / "parts").read_text().split()
    assert (folder / "code").read_text() == "1\n"
    assert len(said) == 1, said
    assert "No space left on device" in said[0]
    assert (folder / "beside").read_text().split() == ["out.jsonl.parts"], "nothing half written"
    assert 0 < len(kept) == result["reused"] < RANGES
    assert all(name.endswith(".jsonl") for name in kept), kept
    assert (folder / "out.jsonl").read_bytes() == at.answers
    return Seen(what=f"{len(kept)} parts kept, {result['redone']} redone when there was room")


def two_at_once(folder: Path) -> Seen:
    """Two jobs of one key, started together, write the same parts and the same output."""
    at, out = place(), folder / "out.jsonl"
    jobs = [start(at, out, ranks=0) for _ in range(2)]
    results = [result_of(job) for job in jobs]
    assert out.read_bytes() == at.answers
    assert results[0]["sha256"] == results[1]["sha256"]
    assert sorted(path.name for path in folder.iterdir()) == ["out.jsonl", "out.jsonl.job.json"]
    made = " + ".join(str(result["redone"]) for result in results)
    return Seen(what=f"{made} ranges made, one output")


SAME = "only what is missing is redone, bytes of one undisturbed process"
FAULTS = (
    Fault(name="batch: SIGKILL of one rank of two", promise=SAME, inject=one_rank_killed, times=5),
    Fault(name="batch: SIGKILL of torchrun and both ranks", promise=SAME, inject=all_killed, times=5),
    Fault(name="batch: SIGKILL of a lone process", promise=SAME, inject=lone_process_killed, times=5),
    Fault(name="batch: SIGKILL of torchrun alone", promise=SAME, inject=torchrun_killed, times=5),
    Fault(
        name="batch: parts flipped, cut, empty, of another range",
        promise="redone, said",
        inject=damaged_parts,
        times=5,
    ),
    Fault(
        name="batch: output's disk full",
        promise="exit 1, parts kept, goes on",
        inject=full_disk,
        times=5,
        needs=OWN_MOUNTS,
    ),
    Fault(
        name="batch: output's disk full, two ranks",
        promise="exit 1, one line, parts kept, goes on",
        inject=partial(full_disk, ranks=2),
        times=3,
        quick=False,
        needs=OWN_MOUNTS,
    ),
    Fault(
        name="batch: two jobs of one key at once",
        promise="both right, one output",
        inject=two_at_once,
        times=5,
    ),
)
