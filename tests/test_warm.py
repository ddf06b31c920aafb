"""Trainers that a warm process forks: as those that torchrun starts, without the imports."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from model_code.stage_process import StageProcess
from model_code.warm_process import LAUNCH, LOST, Warm
from tests import small_data
from tests.conftest import free_port
from tests.lasting import temporary
from tests.runs import mlp_recipe
from tests.training_group import until


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    """A warm process, which several tests share: its imports take seconds."""
    found = Warm({"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TMPDIR": temporary()})
    found.begin()
    yield found
    found.close()


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A training of two processes on this machine."""
    folder = tmp_path_factory.mktemp("warm")
    return [
        *("--nnodes", "1", "--nproc-per-node", "2", "--max-restarts", "0", "--rdzv-backend", "c10d"),
        *("--rdzv-endpoint", f"127.0.0.1:{free_port()}", "--rdzv-id", "1", "--local-addr", "127.0.0.1"),
        *("-m", "model_code.train", "--recipe", mlp_recipe(folder), "--data", small_data.digits(folder)),
        *("train.checkpoint_every=50", "train.evaluate_every=1000000"),
    ]


def started(warm: Warm, words: list[str], *more: str) -> StageProcess:
    """Start a training by it."""
    return StageProcess([*LAUNCH, *words, *more], threading.Event(), warm=warm)


def ended(child: StageProcess) -> StageProcess:
    """Wait for its end."""
    until(lambda: not child.running, 120, lambda: child.reason if not child.running else "it runs on")
    return child


def test_it_trains_stops_in_order_goes_on_and_says_what_is_wrong(
    warm: Warm, words: list[str], tmp_path: Path
) -> None:
    """One after the other by the same process: stopped after a step, resumed after it, refused for bad input."""
    assert warm.settled.wait(120)
    runs = ("--runs", tmp_path.as_uri(), "--run-id", "run")
    first = started(warm, words, *runs, "train.steps=100000")
    until(lambda: list(tmp_path.glob("run/checkpoints/*/manifest.json")), 120, lambda: first.reason)
    asked = time.monotonic()
    first.ask()
    stopped = ended(first)
    assert (stopped.code, stopped.result["stopped"]) == (128 + 15, True)  # torchrun's own word for it
    assert time.monotonic() - asked < 30  # and not the patience of minutes that a lost trainer is given
    newest = max(tmp_path.glob("run/checkpoints/*/manifest.json")).parent.name
    again = started(warm, words, *runs, "train.steps=100000")
    until(lambda: max(tmp_path.glob("run/checkpoints/*/manifest.json")).parent.name > newest, 120)
    again.kill()
    assert ended(again).code == -9
    whole = ended(started(warm, words, "--runs", (tmp_path / "whole").as_uri(), "train.steps=60"))
    assert (whole.code, whole.result["steps"], whole.result["world_size"]) == (0, 60, 2)
    wrong = ended(started(warm, words, *runs, "train.stepz=1"))
    assert wrong.code == 2
    assert wrong.reason.startswith("unknown setting `train.stepz`")


def test_a_forked_training_is_the_very_one_that_torchrun_starts(
    warm: Warm, words: list[str], tmp_path: Path
) -> None:
    """Weights and samples, bit by bit."""
    cold = [sys.executable, "-m", "model_code.launch", *words, "--runs", (tmp_path / "cold").as_uri()]
    one = ended(StageProcess([*cold, "train.steps=60"], threading.Event(), {"OMP_NUM_THREADS": "1"}))
    other = ended(started(warm, words, "--runs", (tmp_path / "warm").as_uri(), "train.steps=60"))
    same = ("model_sha256", "samples_digest", "metric", "run_id")
    assert [one.result[key] for key in same] == [other.result[key] for key in same], json.dumps(other.result)


def test_who_is_killed_before_it_began_never_begins() -> None:
    """While all is still being imported; the next start has a warm process of its own."""
    warm = Warm({"CUDA_VISIBLE_DEVICES": ""})
    try:
        child = started(warm, ["--help"])
        assert not warm.settled.is_set()
        child.kill()
        assert ended(child).code == LOST
        assert warm.settled.wait(30)
    finally:
        warm.close()


def test_all_end_with_it(warm: Warm, words: list[str], tmp_path: Path) -> None:
    """Launcher and trainers: none writes on into a run that another node goes on with."""
    child = started(warm, words, "--runs", tmp_path.as_uri(), "train.steps=100000")
    until(lambda: list(tmp_path.glob("*/checkpoints/*/manifest.json")), 120, lambda: child.reason)
    process = warm._process
    assert process is not None
    below = psutil.Process(process.pid).children(recursive=True)
    assert len(below) == 3
    launcher = next(one for one in below if one.ppid() == process.pid)
    listening = [
        {one.laddr.port for one in each.net_connections() if one.status == "LISTEN"} for each in below
    ]
    store = {one.laddr.port for one in launcher.net_connections() if one.status == "LISTEN"}
    assert store
    assert sum(bool(ports & store) for ports in listening) == 1  # the launcher's alone
    process.kill()
    assert ended(child).code == LOST
    assert not psutil.wait_procs(below, timeout=30)[1]


def test_other_commands_are_none_of_its() -> None:
    """A stage without torchrun is started as ever."""
    warm = Warm({})
    assert not warm.takes([sys.executable, "-m", "model_code.compress"])
    assert ended(StageProcess([sys.executable, "-c", "print('{}')"], threading.Event(), warm=warm)).code == 0
    assert warm._process is None
