"""Of damaged checkpoints the newest intact one is found, or none; never an exception or a wrong tensor."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from model_code.checkpoint.keeper import Checkpoints
from model_code.parallel import World
from tests.fuzz.strategies import costly, damaged, folder
from tests.lasting import lasting_folder
from tests.test_checkpoint import saved, trained

STEPS = (2, 4)


@functools.cache
def written() -> Path:
    """Return a run with two checkpoints, saved as a training does."""
    run = lasting_folder("fuzz-run")
    saved(run.as_uri(), *STEPS)
    return run


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Return a network's tensors."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


@functools.cache
def right(step: int) -> dict[str, Tensor]:
    """Return the tensors after so many steps."""
    return weights(trained(step)[0])


def found(run: Path) -> tuple[int, list[str]]:
    """Return the step that is resumed (0: none) and what was skipped; the tensors must be that step's."""
    model, optimizer = trained(0)
    progress, _, skipped = Checkpoints(run.as_uri(), World(), keep=9).restore(model, optimizer)
    step = int(progress.get("step", 0))
    assert all(torch.equal(tensor, right(step)[name]) for name, tensor in weights(model).items())
    return step, skipped


@costly
@given(st.data())
def test_damaged_files_are_passed_over(data: st.DataObject) -> None:
    """One to three files of either checkpoint flipped, cut, lost, replaced or removed."""
    with folder() as place:
        shutil.copytree(written(), place / "run")
        files = sorted(path for path in (place / "run").rglob("*") if path.is_file())
        harmed = data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=3, unique=True))
        for path in harmed:
            if data.draw(st.integers(0, 4)) == 0:
                path.unlink()
            else:
                path.write_bytes(data.draw(damaged(path.read_bytes())))
        step, skipped = found(place / "run")
        names = {f"step-{one:09d}" for one in STEPS}
        touched = {name for name in names for path in harmed if name in path.parts}
        intact = [one for one in STEPS if f"step-{one:09d}" not in touched]
        # A harmed file may still be one that says the same (a space in a manifest): then its checkpoint is whole.
        assert step >= max(intact, default=0)
        assert all(reason.isprintable() and len(reason) < 600 for reason in skipped)
        passed_over = [one for one in STEPS if one > step]
        assert len(skipped) == len(passed_over)
