"""Killed, stopped and damaged trainings end with the weights of an undisturbed one."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from model_code.data.index import load_index
from model_code.trained import load_trained
from tests import small_data
from tests.runs import mlp_recipe, result_of, torchrun, trained_here

STEPS = 1500


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A training of a few seconds with many checkpoints."""
    folder = tmp_path_factory.mktemp("resume")
    data = small_data.digits(folder / "data")
    settings = [f"train.steps={STEPS}", "train.checkpoint_every=50", "train.evaluate_every=500"]
    return ["--recipe", mlp_recipe(folder), "--data", data, *settings]


@pytest.fixture(scope="module")
def undisturbed(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of two processes that nobody disturbed."""
    return result_of(torchrun(*words, "--runs", str(tmp_path_factory.mktemp("runs"))))


def wait_for_checkpoint(runs: Path, process: subprocess.Popen[str]) -> None:
    """Return once a checkpoint is complete."""
    deadline = time.monotonic() + 120
    while not list(runs.glob("*/checkpoints/*/manifest.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no checkpoint within 120 s"
        time.sleep(0.02)


def test_a_killed_training_resumes_to_the_same_weights(
    words: list[str], undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """SIGKILL to all processes mid-run: the next start goes on from a checkpoint and ends bit for bit alike."""
    process = torchrun(*words, "--runs", str(tmp_path))
    wait_for_checkpoint(tmp_path, process)
    launcher = psutil.Process(process.pid)
    for each in [*launcher.children(recursive=True), launcher]:
        each.kill()
    process.communicate()
    assert not list(tmp_path.glob("*/trained.json"))
    again = result_of(torchrun(*words, "--runs", str(tmp_path)))
    assert 0 < again["resumed_from"] < STEPS
    assert again["model_sha256"] == undisturbed["model_sha256"]


def test_sigterm_saves_the_step_and_loses_nothing(
    words: list[str], undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """SIGTERM to one of the two: both stop after the same step, which the next start goes on from."""
    process = torchrun(*words, "--runs", str(tmp_path))
    wait_for_checkpoint(tmp_path, process)
    psutil.Process(process.pid).children()[-1].terminate()
    stopped = result_of(process)
    assert stopped["stopped"] is True
    assert 0 < stopped["step"] < STEPS
    again = result_of(torchrun(*words, "--runs", str(tmp_path)))
    assert again["resumed_from"] == stopped["step"]
    assert again["model_sha256"] == undisturbed["model_sha256"]


def test_another_number_of_processes_can_resume(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run begun by two processes is finished by one."""
    process = torchrun(*words, "--runs", str(tmp_path))
    wait_for_checkpoint(tmp_path, process)
    process.terminate()  # torchrun hands it on to both
    stopped = int(max((tmp_path.glob("*/checkpoints/*")), key=str).name.removeprefix("step-"))
    process.communicate()
    again, _ = trained_here(capsys, *words, "--runs", str(tmp_path))
    assert again["resumed_from"] >= stopped
    assert again["metric"] > 0.9


def test_a_damaged_checkpoint_is_passed_over(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the newest checkpoint damaged and a half-written one above it, the one before is used and it is said why."""
    few = [
        *words,
        "train.steps=60",
        "train.checkpoint_every=20",
        "train.evaluate_every=20",
        "--runs",
        str(tmp_path),
    ]
    first, _ = trained_here(capsys, *few)
    run = tmp_path / first["run_id"]
    (run / "trained.json").unlink()
    newest = run / "checkpoints" / "step-000000060" / "model.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    (run / "checkpoints" / "step-000000080").mkdir()
    again, said = trained_here(capsys, *few)
    assert again["resumed_from"] == 40
    assert "step-000000080: no manifest.json" in said
    assert "step-000000060: model.safetensors has SHA-256" in said
    assert again["model_sha256"] == first["model_sha256"]
    rows = [line for line in (run / "metrics.jsonl").read_text().splitlines() if '"validation"' in line]
    assert len(rows) == 3


def test_a_finished_run_is_returned_at_once(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same call again trains nothing and returns the same result; another setting is another run."""
    few = [*words, "train.steps=5", "--runs", str(tmp_path)]
    first, _ = trained_here(capsys, *few)
    written = (tmp_path / first["run_id"] / "model.safetensors").stat().st_mtime_ns
    again, _ = trained_here(capsys, *few)
    assert again == first
    assert (tmp_path / first["run_id"] / "model.safetensors").stat().st_mtime_ns == written
    other, _ = trained_here(capsys, *few, "train.seed=1")
    assert other["run_id"] != first["run_id"]


def test_a_run_lives_in_a_bucket_too(
    words: list[str], bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Config, checkpoints, metrics and weights are written to s3:// and read from there."""
    few = [*words, "train.steps=5", "train.checkpoint_every=2", "--runs", f"{bucket}/runs"]
    result, _ = trained_here(capsys, *few)
    assert result["uri"].startswith(f"{bucket}/runs/custom-")
    trained = load_trained(result["uri"])
    assert trained.index == load_index(words[words.index("--data") + 1])
