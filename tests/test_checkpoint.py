"""Checkpoints: complete or not there, verified before they are read, the newest intact one wins."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from obstore.exceptions import PermissionDeniedError
from torch import Tensor, nn

from model_code import store
from model_code.checkpoint import files, storage
from model_code.checkpoint.keeper import Checkpoints
from model_code.checkpoint.state import copy_of, random_state, set_random_state, weights_of
from model_code.config import TrainConfig
from model_code.errors import RunFailedError
from model_code.optim import build_optimizer
from model_code.parallel import World


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


def saved(run: str, *steps: int, keep: int = 9, best: int = 0) -> None:
    """Save a checkpoint after each of some steps; the best weights are those of the step `best`."""
    checkpoints = Checkpoints(run, World(), keep=keep)
    for step in steps:
        model, optimizer = trained(step)
        progress = {"step": step, "best": {"step": best} if best else {}}
        weights = copy_of(weights_of(model)) if best else {}
        checkpoints.save(model, optimizer, progress=progress, best=weights)
    checkpoints.settle()


def restored(
    run: str, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Any], list[str]]:
    """Restore the newest checkpoint; return its progress and what was passed over."""
    progress, _, skipped = Checkpoints(run, World(), keep=1).restore(model, optimizer)
    return progress, skipped


def steps_left(run: Path) -> list[int]:
    """Return the steps of the folders that are there."""
    return [int(name.removeprefix("step-")) for name in store.names((run / "checkpoints").as_uri())]


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_training_goes_on_as_if_never_interrupted(tmp_path: Path, name: str) -> None:
    """Weights and moments come back exactly, though the steps after a save went on while it was written."""
    model, optimizer = trained(3, name)
    checkpoints = Checkpoints(tmp_path.as_uri(), World(), keep=2)
    best = copy_of(weights_of(model))
    checkpoints.save(model, optimizer, progress={"step": 3, "best": {"step": 3}}, best=best)
    for step in range(3, 6):
        update(model, optimizer, step)
    checkpoints.settle()
    other, its_optimizer = trained(0, name)
    progress, its_best, skipped = Checkpoints(tmp_path.as_uri(), World(), keep=2).restore(
        other, its_optimizer
    )
    assert (progress["step"], skipped) == (3, [])
    assert its_best.keys() == {"embedding.weight", "norm.weight", "norm.bias"}
    assert all(torch.equal(its_best[key], best[key]) for key in best)
    for step in range(3, 6):
        update(other, its_optimizer, step)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_nothing_saved_means_nothing_restored(tmp_path: Path) -> None:
    """A fresh run has no checkpoint, and restoring none changes nothing."""
    model, optimizer = trained(1)
    before = copy_of(weights_of(model))
    assert restored(tmp_path.as_uri(), model, optimizer) == ({}, [])
    assert all(torch.equal(before[name], tensor) for name, tensor in weights_of(model).items())


def test_no_file_of_a_checkpoint_is_a_pickle(tmp_path: Path) -> None:
    """Tensors lie in safetensors, each once; the rest is JSON; the manifest names every file with its hash."""
    saved(tmp_path.as_uri(), 2)
    folder = tmp_path / "checkpoints" / "step-000000002"
    names = {path.name for path in folder.iterdir()}
    assert {Path(name).suffix for name in names} == {".safetensors", ".json"}
    assert set(json.loads((folder / "manifest.json").read_text())["files"]) == names - {"manifest.json"}


@pytest.mark.parametrize("file", ["shard-00001-model-00001-of-00001.safetensors", "progress.json"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_file_sends_us_to_the_one_before(tmp_path: Path, file: str, harm: str) -> None:
    """One flipped bit, a missing end or a missing file: the checkpoint before is used and the reason names the file."""
    saved(tmp_path.as_uri(), 2, 4)
    path = tmp_path / "checkpoints" / "step-000000004" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if harm == "remove":
        path.unlink()
    else:
        path.write_bytes(bytes(content) if harm == "flip" else path.read_bytes()[:-3])
    progress, skipped = restored(tmp_path.as_uri(), *trained(0))
    assert progress["step"] == 2
    assert len(skipped) == 1
    assert skipped[0].startswith(f"step-000000004: {file} ")


def test_any_flipped_byte_of_a_manifest_is_seen_or_harmless(tmp_path: Path) -> None:
    """Whichever byte of it flips: the checkpoint is passed over, or what is read is what was saved."""
    saved(tmp_path.as_uri(), 2)
    folder, into = tmp_path / "checkpoints" / "step-000000002", tmp_path / "into"
    into.mkdir()
    content = (folder / "manifest.json").read_bytes()
    known, seen = files.read_manifest(folder.as_uri()), 0
    for place in range(len(content)):
        harmed = bytearray(content)
        harmed[place] ^= 1
        (folder / "manifest.json").write_bytes(bytes(harmed))
        try:
            found = files.read_manifest(folder.as_uri())
            files.fetch(folder.as_uri(), found, into)
        except files.DamagedError:
            seen += 1
        else:
            assert found == known, place
    assert seen > len(content) // 2


def test_a_manifest_cannot_name_a_file_elsewhere(tmp_path: Path) -> None:
    """A path in place of a name is no manifest of ours."""
    saved(tmp_path.as_uri(), 2)
    path = tmp_path / "checkpoints" / "step-000000002" / "manifest.json"
    path.write_text(path.read_text().replace("progress.json", "../progress.json"))
    assert restored(tmp_path.as_uri(), *trained(0))[0] == {}


def test_an_interrupted_write_does_not_count(tmp_path: Path) -> None:
    """Without its manifest, or with a broken one or another version's, a checkpoint is passed over."""
    saved(tmp_path.as_uri(), 2, 3, 4)
    folder = tmp_path / "checkpoints"
    (folder / "step-000000002" / "manifest.json").unlink()
    (folder / "step-000000003" / "manifest.json").write_text("{")
    (folder / "step-000000004" / "manifest.json").write_text('{"format": 1, "step": 4, "files": {}}')
    progress, skipped = restored(tmp_path.as_uri(), *trained(0))
    assert progress == {}
    assert [reason.split(":")[0] for reason in skipped] == [f"step-00000000{n}" for n in (4, 3, 2)]
    assert "has format 1, this version reads 2" in skipped[0]
    assert "not JSON" in skipped[1]
    assert "interrupted" in skipped[2]


def test_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    """Old ones go, leftovers without a manifest, too, but not the first one that was saved after the best step."""
    saved(tmp_path.as_uri(), 1, 2, 4, best=2)
    (tmp_path / "checkpoints" / "step-000000001" / "manifest.json").unlink()
    (tmp_path / "checkpoints" / "step-000000009").mkdir()
    saved(tmp_path.as_uri(), 5, 6, 7, keep=2, best=3)
    assert steps_left(tmp_path) == [4, 6, 7, 9]
    saved(tmp_path.as_uri(), 8, keep=2, best=8)
    assert steps_left(tmp_path) == [7, 8, 9]


def test_a_leftover_in_the_same_place_is_replaced(tmp_path: Path) -> None:
    """Files of an interrupted save by more ranks do not survive in the checkpoint that is written over them."""
    folder = tmp_path / "checkpoints" / "step-000000003"
    folder.mkdir(parents=True)
    (folder / "shard-00002-model-00001-of-00001.safetensors").write_bytes(b"torn")
    saved(tmp_path.as_uri(), 3)
    assert len(list(folder.glob("shard-*"))) == 1
    assert restored(tmp_path.as_uri(), *trained(0))[0]["step"] == 3


def test_a_failed_save_is_said_and_the_last_one_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be written costs a line; the next save is complete; only a failed last one ends a run."""
    run = tmp_path / "run"
    saved(run.as_uri(), 1)
    (run / "checkpoints" / "step-000000002").write_text("in the way")
    (run / "checkpoints" / "step-000000004").write_text("in the way")
    saved(run.as_uri(), 2, 3)
    said = capsys.readouterr().err
    assert said.startswith("warning: checkpoint step-000000002 was not saved: rank 0: ")
    assert len(said.splitlines()) == 1
    with pytest.raises(
        RunFailedError, match=r"start the same command again: it goes on after step-000000003"
    ):
        saved(run.as_uri(), 3, 4)
    (run / "checkpoints" / "step-000000004").unlink()
    assert restored(run.as_uri(), *trained(0))[0]["step"] == 3


def test_weights_that_are_not_numbers_are_not_saved(tmp_path: Path) -> None:
    """A step that went wrong leaves the checkpoint before it the newest one."""
    saved(tmp_path.as_uri(), 1)
    model, optimizer = trained(2)
    checkpoints = Checkpoints(tmp_path.as_uri(), World(), keep=2)
    with torch.no_grad():
        next(model.parameters())[0, 0] = torch.nan
    checkpoints.save(model, optimizer, progress={"step": 2, "best": {}}, best={})
    with pytest.raises(RunFailedError, match="weights are not finite"):
        checkpoints.settle()
    assert steps_left(tmp_path) == [1]


def test_random_generators_go_on(tmp_path: Path) -> None:
    """torch, numpy and Python draw after a restore what they would have drawn."""
    model, optimizer = trained(1)
    checkpoints = Checkpoints(tmp_path.as_uri(), World(), keep=2)
    random.gauss(0, 1)  # leaves a second number in the state
    checkpoints.save(model, optimizer, progress={"step": 1, "best": {}}, best={})
    checkpoints.settle()

    def drawn() -> list[float]:
        return [float(torch.rand(1)), float(np.random.normal()), random.random(), random.gauss(0, 1)]

    expected = drawn()
    drawn()
    assert restored(tmp_path.as_uri(), model, optimizer)[0]["step"] == 1
    assert drawn() == expected
    state = random_state()
    expected = drawn()
    set_random_state(state)
    assert drawn() == expected


def test_large_checkpoints_lie_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is much larger than what is put together in memory at once."""
    monkeypatch.setattr(storage, "PART_BYTES", 256)
    saved(tmp_path.as_uri(), 2, best=2)
    parts = list(tmp_path.glob("checkpoints/step-000000002/shard-*"))
    assert len(parts) > 2
    assert restored(tmp_path.as_uri(), *trained(0))[0]["step"] == 2


def test_who_may_not_delete_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the role forbids deleting, old checkpoints stay, one line says so, and saving goes on."""

    def denied(uri: str) -> None:
        raise PermissionDeniedError(f"{uri}: not authorized to perform s3:DeleteObject\n\nDebug source: ...")

    monkeypatch.setattr(store, "delete", denied)
    saved(tmp_path.as_uri(), 1, 2, 3, 4, keep=1)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("warning: old checkpoints stay in ")
    assert said[0].endswith("s3:DeleteObject; delete them by hand")
    assert steps_left(tmp_path) == [1, 2, 3, 4]


def test_checkpoints_live_in_a_bucket_too(bucket: str) -> None:
    """Written, cleaned up, damaged, passed over and read there as on a disk."""
    run = f"{bucket}/runs/one"
    saved(run, 1, 2, 3, keep=2)
    assert store.names(f"{run}/checkpoints") == ["step-000000002", "step-000000003"]
    store.write(f"{run}/checkpoints/step-000000003/progress.json", b"{}")
    model, optimizer = trained(0)
    progress, skipped = restored(run, model, optimizer)
    assert (progress["step"], len(skipped)) == (2, 1)
    expected, _ = trained(2)
    for one, two in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)
