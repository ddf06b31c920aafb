"""Trainings that are killed, stopped, starved and damaged: nothing of them shows afterwards."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

import psutil

from tests.faults import trainings
from tests.faults.fault import OWN_MOUNTS, Fault, Seen
from tests.faults.other_worlds import another_number_of_ranks
from tests.runs import result_of

PROMISE = "curve and weights bit-equal to an undisturbed run"


def one_rank_killed(folder: Path) -> Seen:
    """SIGKILL one of two ranks: torchrun ends, the next start goes on."""
    process = trainings.start(folder)
    trainings.wait_for_checkpoints(folder, process, 2)
    trainings.ranks(process)[-1].kill()
    return _seen(folder, process.communicate(timeout=trainings.PATIENCE) and process.returncode)


def all_ranks_killed(folder: Path) -> Seen:
    """SIGKILL both ranks at once."""
    process = trainings.start(folder)
    trainings.wait_for_checkpoints(folder, process, 2)
    for rank in trainings.ranks(process):
        rank.kill()
    return _seen(folder, process.communicate(timeout=trainings.PATIENCE) and process.returncode)


def torchrun_killed(folder: Path) -> Seen:
    """SIGKILL the launcher: its ranks end with it, so that none writes into the run that is started again."""
    process = trainings.start(folder)
    trainings.wait_for_checkpoints(folder, process, 2)
    ranks = trainings.ranks(process)
    process.kill()
    _, alive = psutil.wait_procs(ranks, timeout=trainings.PATIENCE)
    assert not alive, f"ranks live on without torchrun: {alive}"
    return _seen(folder, process.communicate(timeout=trainings.PATIENCE) and process.returncode)


def rank_asked_to_stop(folder: Path) -> Seen:
    """SIGTERM one rank: both save the same step, and the next start goes on after that very one."""
    process = trainings.start(folder)
    trainings.wait_for_checkpoints(folder, process, 2)
    begun = time.monotonic()
    trainings.ranks(process)[-1].terminate()
    stopped = result_of(process)
    assert stopped["stopped"] is True, stopped
    found, _, seconds = trainings.resumed(folder, begun)
    assert found["from"] == stopped["step"], (found["from"], stopped)
    return Seen(what=trainings.assert_as_undisturbed(found), recovery_seconds=seconds)


def upload_torn(folder: Path) -> Seen:
    """The newest checkpoint without a manifest, the one before with a file cut: the one before that is used."""
    shutil.copytree(trainings.killed(), folder, dirs_exist_ok=True)
    *_, good, cut, torn = trainings.checkpoints(folder)
    (torn / "manifest.json").unlink()
    file = next(iter(sorted(cut.glob("*.safetensors"))))
    left = file.read_bytes()[:-1]
    file.write_bytes(left)
    found, said, seconds = trainings.resumed(folder, time.monotonic())
    assert f"{torn.name}: no manifest.json" in said, said
    assert f"{cut.name}: {file.name} has {len(left)} bytes" in said, said
    assert found["from"] == int(good.name.removeprefix("step-")), found["from"]
    return Seen(what=trainings.assert_as_undisturbed(found), recovery_seconds=seconds)


def byte_flipped(folder: Path) -> Seen:
    """A byte of the newest manifest, of the progress before it and of the tensors before that."""
    shutil.copytree(trainings.killed(), folder, dirs_exist_ok=True)
    good, *damaged = trainings.checkpoints(folder)[-4:]
    tensors = next(iter(sorted(damaged[0].glob("*.safetensors")))).name
    files = (tensors, "progress.json", "manifest.json")
    for checkpoint, name in zip(damaged, files, strict=True):
        content = bytearray((checkpoint / name).read_bytes())
        content[len(content) // 2] ^= 1
        (checkpoint / name).write_bytes(content)
    found, said, seconds = trainings.resumed(folder, time.monotonic())
    for checkpoint in damaged:
        assert f"checkpoint passed over: {checkpoint.name}: " in said, said
    assert found["from"] == int(good.name.removeprefix("step-")), found["from"]
    return Seen(what=trainings.assert_as_undisturbed(found), recovery_seconds=seconds)


def disk_full(folder: Path) -> Seen:
    """A disk of 16 MB that is full for a while: the run goes on, its next save is complete."""
    disk, out = folder / "disk", folder / "out"
    disk.mkdir()
    script = 'mount -t tmpfs -o size=16m tmpfs "$0" && "$@"; code=$?; cp -r "$0" "$0/../out"; exit $code'
    process = trainings.start(disk, before=(*OWN_MOUNTS, "sh", "-c", script, str(disk)))
    seen_from_here = Path(f"/proc/{process.pid}/root{disk}")  # the mount is the process's own
    trainings.wait_for_checkpoints(seen_from_here, process, 2)
    ballast = seen_from_here / "ballast"
    fill(ballast)
    begun = time.monotonic()
    said = trainings.wait_for_line(process, "was not saved")
    complete = {path.name for path in trainings.checkpoints(seen_from_here)}
    ballast.unlink()
    result = result_of(process)
    assert "No space left on device" in said, said
    lost = said.splitlines()[-1].split()[2]
    assert lost.startswith("step-"), said
    assert complete - {lost}, "the last good checkpoint must stay"
    assert lost not in complete, (lost, complete)
    seconds = time.monotonic() - begun
    what = trainings.assert_as_undisturbed(trainings.outcome(out, result))
    newest = trainings.checkpoints(out)[-1].name
    assert newest == f"step-{trainings.STEPS:09d}", newest
    return Seen(what=f"{lost} not saved, run went on; {what}", recovery_seconds=seconds)


def fill(path: Path) -> None:
    """Write into a file until its disk is full."""
    with path.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2


def _seen(folder: Path, code: object) -> Seen:
    """Check that a killed training ended badly, go on with it, and compare."""
    assert code in (1, -signal.SIGKILL), f"torchrun ended with {code}"
    assert not list(folder.glob("*/trained.json")), "the training ended before it was disturbed"
    found, _, seconds = trainings.resumed(folder, time.monotonic())
    assert found["from"] >= trainings.EVERY, found["from"]
    return Seen(what=trainings.assert_as_undisturbed(found), recovery_seconds=seconds)


FAULTS = (
    Fault(name="SIGKILL of one rank", promise=PROMISE, inject=one_rank_killed, times=5, quick=False),
    Fault(name="SIGKILL of all ranks", promise=PROMISE, inject=all_ranks_killed, times=5, quick=False),
    Fault(
        name="SIGKILL of torchrun", promise=f"no rank lives on; {PROMISE}", inject=torchrun_killed, times=5
    ),
    Fault(
        name="SIGTERM of one rank",
        promise=f"no step is lost; {PROMISE}",
        inject=rank_asked_to_stop,
        times=5,
        quick=False,
    ),
    Fault(
        name="torn upload of a checkpoint",
        promise=f"passed over, said why; {PROMISE}",
        inject=upload_torn,
        times=3,
        quick=False,
    ),
    Fault(
        name="flipped byte in a checkpoint",
        promise=f"passed over, said why; {PROMISE}",
        inject=byte_flipped,
        times=3,
        quick=False,
    ),
    Fault(
        name="disk full while saving",
        promise=f"the run goes on; {PROMISE}",
        inject=disk_full,
        times=3,
        needs=OWN_MOUNTS,
    ),
    Fault(
        name="resumed by another number of ranks",
        promise="same samples, none lost, none twice; weights equal up to rounding",
        inject=another_number_of_ranks,
        times=1,
        quick=False,
    ),
)
