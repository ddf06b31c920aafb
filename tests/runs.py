"""Starting trainings in tests: in this process, or by a real torchrun on gloo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from model_code.train import main
from tests.lasting import temporary

ROOT = Path(__file__).parents[1]

MLP = '''
"""A user's own network and recipe."""
from torch import nn
from model_code.config import ModelConfig, RunConfig, TrainConfig

def build(config, index):
    image = index.image
    pixels = image.channels * image.height * image.width
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, 32), nn.ReLU(), nn.Linear(32, len(index.classes)))

def mine(index):
    model = ModelConfig(family="custom", builder=__file__ + ":build")
    return RunConfig(recipe="mine", model=model, train=TrainConfig(epochs=6, learning_rate=3e-3, clip_norm=0))
'''


def mlp_recipe(folder: Path) -> str:
    """Write the user's own recipe and return its name."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "mlp.py"
    file.write_text(MLP)
    return f"{file}:mine"


def trained_here(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], str]:
    """Train in this process; return the result and what was said on stderr."""
    capsys.readouterr()
    main(list(words))
    said = capsys.readouterr()
    result: dict[str, Any] = json.loads(said.out)
    return result, said.err


def torchrun(
    *words: str, module: str = "model_code.train", processes: int = 2, before: tuple[str, ...] = ()
) -> subprocess.Popen[str]:
    """Start processes by torchrun, in a session of their own so that they can be killed as one.

    Args:
        words: the module's own.
        module: what each process runs.
        processes: how many.
        before: a command to start torchrun by.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return started([*before, *command, "-m", module, *words])


def started(command: Sequence[str]) -> subprocess.Popen[str]:
    """Start a command on the CPU, one thread a process, in a session of its own."""
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TMPDIR": temporary()},
        start_new_session=True,
    )


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a command to end well and return the one JSON object that it printed."""
    return result_and_said(process)[0]


def result_and_said(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    """Wait for a command to end well; return the one JSON object that it printed, and its stderr."""
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    result: dict[str, Any] = json.loads(out)
    return result, err
