"""Trainings that faults disturb: two processes on gloo for a few seconds, many checkpoints, and an undisturbed one."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from tests import small_data
from tests.lasting import lasting_folder
from tests.runs import mlp_recipe, result_of, torchrun

STEPS, EVERY, KEPT = 800, 40, 4
PATIENCE = 240.0
"""Seconds to wait for a state: other tests run beside this one."""


@cache
def words() -> tuple[str, ...]:
    """Return what the trainings are started with."""
    folder = lasting_folder("trainings")
    settings = {"steps": STEPS, "checkpoint_every": EVERY, "evaluate_every": 400, "keep_checkpoints": KEPT}
    data = small_data.digits(folder / "data")
    return (
        *("--recipe", mlp_recipe(folder), "--data", data),
        *(f"train.{name}={value}" for name, value in settings.items()),
    )


def start(runs: Path, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start the training, or go on with it."""
    return torchrun(*words(), "--runs", str(runs), before=before)


@cache
def undisturbed() -> dict[str, Any]:
    """Return curve and result of the training that nobody disturbed."""
    with tempfile.TemporaryDirectory(prefix="skylift-trainings-") as folder:
        return outcome(Path(folder), result_of(start(Path(folder))))


@cache
def killed() -> Path:
    """Return a folder of runs whose one run was killed with several complete checkpoints. Copy it, do not change it."""
    folder = lasting_folder("trainings")
    process = start(folder)
    wait_for_checkpoints(folder, process, KEPT)
    for rank in ranks(process):
        rank.kill()
    process.communicate(timeout=PATIENCE)
    return folder


def ranks(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return torchrun's trainers."""
    return psutil.Process(process.pid).children()


def checkpoints(runs: Path) -> list[Path]:
    """Return the folders of the complete checkpoints, oldest first."""
    return sorted(path.parent for path in runs.glob("*/checkpoints/*/manifest.json"))


def wait_for_checkpoints(runs: Path, process: subprocess.Popen[str], number: int) -> None:
    """Return once so many checkpoints are complete."""
    deadline = time.monotonic() + PATIENCE
    while len(checkpoints(runs)) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"no {number} checkpoints within {PATIENCE:.0f} s"
        time.sleep(0.02)


def wait_for_line(process: subprocess.Popen[str], text: str) -> str:
    """Return what a process says on stderr up to the line with a text."""
    said = ""
    assert process.stderr
    for line in process.stderr:
        said += line
        if text in line:
            return said
    raise AssertionError(f"`{text}` was not said: {said}")


def resumed(runs: Path, since: float) -> tuple[dict[str, Any], str, float]:
    """Start the training again and let it end.

    Args:
        runs: the folder that its runs are in.
        since: when it was disturbed, by `time.monotonic`.

    Returns:
        Curve and result, what was said before the first step, and how long after `since` that was, in seconds.
    """
    process = start(runs)
    said = wait_for_line(process, "resumed after step")
    seconds = time.monotonic() - since
    return outcome(runs, result_of(process)), said, seconds


def outcome(runs: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Return what must be equal to an undisturbed run's, and `from`, where the last process began."""
    lines = (runs / result["run_id"] / "metrics.jsonl").read_text().splitlines()
    curve = [{k: v for k, v in json.loads(line).items() if k != "samples_per_s"} for line in lines]
    equal = {name: result[name] for name in ("model_sha256", "samples_digest", "metric", "best_step")}
    return {"equal": {"curve": curve, **equal}, "from": result["resumed_from"]}


def assert_as_undisturbed(found: dict[str, Any]) -> str:
    """Check every row of the curve, the weights and the samples bit by bit; return what was compared."""
    expected = undisturbed()["equal"]
    assert len(expected["curve"]) > STEPS // 10, expected["curve"]
    assert len(found["equal"]["curve"]) == len(expected["curve"])
    for row, other in zip(found["equal"]["curve"], expected["curve"], strict=True):
        assert row == other, f"{row} is not {other}"
    for name, value in expected.items():
        assert found["equal"][name] == value, f"{name} differs"
    return f"{len(expected['curve'])} rows, weights and samples equal; resumed after step {found['from']}"
