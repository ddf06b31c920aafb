"""Checkpoints: complete or not there, verified before they are read, the newest intact one wins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from model_code.checkpoint import Checkpoint, read_newest, restore, save_checkpoint, whole_weights
from model_code.config import TrainConfig
from model_code.optim import build_optimizer


class Tied(nn.Module):
    """Two names for one matrix, as a language model's embedding and head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight
        self.norm = nn.LayerNorm(4)

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.norm(self.embedding(ids)))
        return logits


def trained(steps: int, optimizer_name: str = "adamw") -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return a network and its optimizer after some steps."""
    torch.manual_seed(0)
    model = Tied()
    config = TrainConfig(optimizer="sgd" if optimizer_name == "sgd" else "adamw", learning_rate=0.1)
    optimizer = build_optimizer(model, config)
    for step in range(steps):
        update(model, optimizer, step)
    return model, optimizer


def update(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    ids = torch.arange(7).roll(step)
    nn.functional.cross_entropy(model(ids), ids).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    optimizer.zero_grad()


def saved(run: Path, step: int, keep: int = 9) -> Path:
    """Save a checkpoint and return its folder."""
    model, optimizer = trained(step)
    progress = {"step": step, "stream": {"position": step * 8}}
    save_checkpoint(run.as_uri(), model, optimizer, progress=progress, best=whole_weights(model), keep=keep)
    return run / "checkpoints" / f"step-{step:09d}"


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_training_goes_on_as_if_never_interrupted(tmp_path: Path, name: str) -> None:
    """Weights and moments come back exactly: the steps after a restore are the steps that would have come."""
    model, optimizer = trained(3, name)
    save_checkpoint(tmp_path.as_uri(), model, optimizer, progress={"step": 3}, best={}, keep=2)
    other, its_optimizer = trained(0, name)
    found, skipped = read_newest(tmp_path.as_uri())
    assert (restore(found, other, its_optimizer), skipped) == ({"step": 3}, [])
    for step in range(3, 6):
        update(model, optimizer, step)
        update(other, its_optimizer, step)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_nothing_saved_means_nothing_restored(tmp_path: Path) -> None:
    """A fresh run has no checkpoint, and restoring none changes nothing."""
    found, skipped = read_newest(tmp_path.as_uri())
    assert (found, skipped) == (Checkpoint(), [])
    model, optimizer = trained(1)
    before = whole_weights(model)
    assert restore(found, model, optimizer) == {}
    assert all(torch.equal(before[name], tensor) for name, tensor in whole_weights(model).items())


def test_no_file_of_a_checkpoint_is_a_pickle(tmp_path: Path) -> None:
    """Tensors lie in safetensors, each once; the rest is JSON; the manifest names every file with its hash."""
    folder = saved(tmp_path, 2)
    names = {path.name for path in folder.iterdir()}
    assert {Path(name).suffix for name in names} == {".safetensors", ".json"}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["files"]) == names - {"manifest.json"}
    found, _ = read_newest(tmp_path.as_uri())
    assert set(found.model) == {"embedding.weight", "norm.weight", "norm.bias"}
    assert found.best.keys() == found.model.keys()


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "progress.json"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_file_sends_us_to_the_one_before(tmp_path: Path, file: str, harm: str) -> None:
    """One flipped bit, a missing end or a missing file: the checkpoint before is used and the reason names the file."""
    saved(tmp_path, 2)
    path = saved(tmp_path, 4) / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if harm == "remove":
        path.unlink()
    else:
        path.write_bytes(bytes(content) if harm == "flip" else path.read_bytes()[:-3])
    found, skipped = read_newest(tmp_path.as_uri())
    assert found.progress["step"] == 2
    assert len(skipped) == 1
    assert skipped[0].startswith(f"step-000000004: {file} ")


def test_an_interrupted_write_does_not_count(tmp_path: Path) -> None:
    """Without its manifest, or with a broken or foreign one, a checkpoint is passed over."""
    (saved(tmp_path, 2) / "manifest.json").unlink()
    (saved(tmp_path, 3) / "manifest.json").write_text("{")
    (saved(tmp_path, 4) / "manifest.json").write_text('{"format": 99}')
    found, skipped = read_newest(tmp_path.as_uri())
    assert found == Checkpoint()
    assert [reason.split(":")[0] for reason in skipped] == [f"step-00000000{n}" for n in (4, 3, 2)]
    assert "format 99" in skipped[0]
    assert "not JSON" in skipped[1]
    assert "interrupted" in skipped[2]


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    """Old complete checkpoints go; one that cannot be read is not counted among those kept."""
    for step in (1, 2, 3):
        saved(tmp_path, step)
    (tmp_path / "checkpoints" / "step-000000003" / "manifest.json").unlink()
    saved(tmp_path, 4, keep=2)
    left = {path.parent.name for path in tmp_path.glob("checkpoints/*/manifest.json")}
    assert left == {"step-000000002", "step-000000004"}
