"""What is released and what is trained do not disturb each other: edits of code, as the engine sees them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infra import program
from infra.rehearsal.stack import ROOT, Deployment

PACKED = ("model_code", "serve_config", "infra", "pyproject.toml", "uv.lock")
"""What code bundles are made of."""

SERVING = {"serve-template", "serve-group", "train-template", "train-group"}
"""What names the bundle of serving: nodes that train are told it too, to start serving when they are done."""


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the repository that bundles are packed from, to edit."""
    for name in PACKED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    monkeypatch.setattr(program, "ROOT", tmp_path)
    return tmp_path


def test_an_unchanged_copy_changes_nothing(dev: Deployment, copy: Path) -> None:
    """Bundles are made of contents alone: not of a folder's name, not of times."""
    del copy
    assert dev.preview().changes() == {}


def test_serving_code_leaves_a_training_alone(dev: Deployment, copy: Path) -> None:
    """An edit in `serve_config` is a new bundle of serving; no instance of the training group is touched."""
    with (copy / "serve_config" / "front.py").open("a") as file:
        file.write("\n# edited\n")
    changes = dev.preview().changes()
    assert changes == {"update": SERVING, "replace": {"serve-code-zip"}}
    assert "train-group" not in changes["replace"]  # its next node boots from another template; no node goes


def test_training_code_is_a_new_run_and_the_old_one_goes_first(dev: Deployment, copy: Path) -> None:
    """Two groups of the wished size at once would need twice the quota: deleted, then created."""
    with (copy / "model_code" / "train.py").open("a") as file:
        file.write("\n# edited\n")
    order = dev.preview().order
    assert order.index(("delete-replaced", "train-group")) < order.index(
        ("create-replacement", "train-group")
    )
    touched = {name for operation, name in order if operation == "replace"}
    assert "serve-group" not in touched
