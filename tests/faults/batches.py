"""What the faults of batch prediction share: a release, a data set, and starting and watching the jobs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from tests import serving, small_data
from tests.lasting import lasting_folder
from tests.runs import result_and_said, started

RANGE = 16
"""Samples of a range."""
RANGES = 79
"""Ranges of the digits' train split of 1,259 samples."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A release and a data set, made once for all faults."""

    data: str
    """URI of the digits."""
    models: Path
    """The model store."""
    release: Path
    """Folder of the version, whose network takes long enough to be caught in the middle."""
    key: Path
    """The public key."""
    answers: bytes
    """What one undisturbed process writes for the train split."""


@cache
def place() -> Place:
    """Make release, data and the undisturbed result."""
    folder = lasting_folder("batch")
    signer = serving.new_signer()
    artifact = serving.write_artifact(folder / "made" / "artifact", repeats=3000)
    made = Place(
        data=small_data.digits(folder / "data"),
        models=folder / "models",
        release=serving.publish(folder / "models", artifact, signer),
        key=signer.write_public(folder / "key.pem"),
        answers=b"",
    )
    process = start(made, folder / "undisturbed.jsonl", ranks=0)
    result_of(process)
    return Place(**{**made.__dict__, "answers": (folder / "undisturbed.jsonl").read_bytes()})


def command(at: Place, out: str | Path, *, ranks: int, options: Sequence[str] = ()) -> list[str]:
    """Return the command of a job: a plain process for 0 ranks, else torchrun as `skylift` starts it."""
    torchrun = ["model_code.launch", "--standalone", "--nproc-per-node", str(ranks), "-m"] if ranks else []
    words = ["--release", str(at.release), "--public-key", str(at.key), "--data", at.data, "--out", str(out)]
    chosen = ["--split", "train", "--range", str(RANGE), "--device", "cpu", *options]
    return [sys.executable, "-m", *torchrun, "model_code.predict", *words, *chosen]


def start(
    at: Place, out: str | Path, *, ranks: int, options: Sequence[str] = (), within: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """Start a job in a session of its own."""
    return started([*within, *command(at, out, ranks=ranks, options=options)])


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a job to end well and return the one JSON object that it printed, and what it `said`."""
    result, said = result_and_said(process)
    return result | {"said": said}


def failed(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Wait for a job to fail and return its exit code and its lines that say why."""
    out, err = process.communicate(timeout=120)
    assert out == ""
    assert "Traceback" not in err, err
    return process.returncode, [line for line in err.splitlines() if line.startswith("error: ")]


def parts_of(out: Path) -> list[Path]:
    """Return the parts that are complete."""
    return sorted(out.parent.glob(f"{out.name}.parts/*/range-*.jsonl"))


def wait_for_parts(out: Path, number: int, process: subprocess.Popen[str]) -> None:
    """Return once so many parts are complete."""
    deadline = time.monotonic() + 120
    while len(parts_of(out)) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no parts within 120 s"
        time.sleep(0.005)


def ranks_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return torchrun's ranks."""
    return psutil.Process(process.pid).children()


def kill(processes: Sequence[psutil.Process]) -> None:
    """SIGKILL them, as close together as can be."""
    for one in processes:
        one.send_signal(signal.SIGKILL)


def finish(at: Place, out: Path, *, ranks: int) -> tuple[dict[str, Any], float]:
    """Start the same job again, check that it redoes what is missing and no more, and return result and seconds.

    The bytes are those of the undisturbed process, and no part is left.
    """
    kept = len(parts_of(out))
    begun = time.monotonic()
    result = result_of(start(at, out, ranks=ranks))
    seconds = time.monotonic() - begun
    assert (result["ranges"], result["reused"], result["redone"]) == (RANGES, kept, RANGES - kept), result
    assert 0 < kept < RANGES, "it was not disturbed in its middle"
    assert out.read_bytes() == at.answers
    assert not list(out.parent.glob("*.parts"))
    return result, seconds
