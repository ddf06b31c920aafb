"""The pure parts of the watchdogs: who hangs, who limps, which replica is wrong."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model_code import divergence, incidents
from model_code.config import TrainConfig
from model_code.errors import RunFailedError
from model_code.hang import SLOW, Marks, Standing, hung
from model_code.parallel import World
from model_code.process import this_process
from model_code.replay import Replay, judged
from model_code.replicas import ReplicasDifferError, bits_hash, first_to_differ, outvoted
from model_code.straggler import WINDOW, Stragglers, factors
from model_code.told import Heard, tell

ME = this_process()


# -- hangs


def standing(count: int = 50, *, phase: str = "forward", still: float = 0, silent: float = 0) -> Standing:
    """Return what a rank is known to do."""
    return Standing(process=ME, count=count, step=7, phase=phase, still=still, silent=silent)


@pytest.mark.parametrize(
    ("ranks", "culprits"),
    [
        ([standing(still=9), standing(still=9)], []),
        ([standing(50, still=11), standing(49, still=12)], [1]),
        ([standing(49, still=11), standing(50, still=9)], []),  # one still moves
        ([standing(50, still=11), standing(50, still=12)], [0, 1]),
        (
            [standing(50, still=11), standing(50, still=11, silent=6)],
            [1],
        ),  # in one place: the one without life
        ([standing(50, still=1), standing(49, phase="save", still=11, silent=11)], [1]),
        ([standing(51, still=50), standing(50, phase="save", still=50)], []),  # writing may take long
        ([standing(51, still=SLOW * 11), standing(50, phase="save", still=SLOW * 11)], [1]),
        ([standing(51, still=50), standing(50, phase="start", still=50, silent=50)], []),
        ([standing(phase="done", still=99, silent=99), standing(still=1)], []),
        ([standing(still=11)], [0]),
        ([], []),
    ],
)
def test_who_hangs(ranks: list[Standing], culprits: list[int]) -> None:
    """In a window of 10 s, the one that the others wait for is named, and nobody who only takes long."""
    assert hung(dict(enumerate(ranks)), 10)[0] == culprits


def test_marks_count_and_the_first_step_is_the_start() -> None:
    """The first step may compile: it is given more time; moves within a phase count too."""
    marks = Marks()
    seen = []
    for step, phase in ((5, "data"), (5, "forward"), (6, "data"), (6, "measure")):
        marks.at(step, phase)
        seen.append(marks.now)
    marks.again()
    assert seen == [(1, 5, "start"), (2, 5, "start"), (3, 6, "data"), (4, 6, "measure")]
    assert marks.now == (5, 6, "measure")


# -- stragglers


def test_a_rank_counts_by_its_median_against_the_others() -> None:
    """One slow step is chance; with two ranks each is measured by the other, with more by the middle one."""
    assert factors([(1.0, 1.0), (1.0, 9.0), (1.0, 1.0)]) == [1.0, 1.0]
    assert factors([(1.0, 2.0)]) == [0.5, 2.0]
    assert factors([(1.0, 1.0, 2.0, 4.0)]) == [0.5, 0.5, 2.0, 4.0]
    assert factors([(0.0, 0.0)]) == [1.0, 1.0]


def test_a_straggler_is_named_once_and_once_more_when_it_keeps_up(tmp_path: Path) -> None:
    """Slow, slower, between the limits, well, slow again: two episodes, the same in words and in the file."""
    said: list[str] = []
    other = dataclasses.replace(ME, host="far", pid=7)
    watched = Stragglers(tmp_path.as_uri(), [ME, other], said.append)
    step = 0
    for factor in (1.0, 1.6, 3.0, 1.4, 1.1, 1.4, 2.0):
        for _ in range(2 * WINDOW):
            step += 1
            watched.note(step, (1.0, factor))
    assert [line.split(";")[0].split(":")[0] for line in said] == [
        "rank 1 (host far, pid 7) is a straggler",
        "rank 1 (host far, pid 7) keeps up again",
        "rank 1 (host far, pid 7) is a straggler",
    ]
    rows = [json.loads(line) for line in (tmp_path / incidents.FILE).read_text().splitlines()]
    assert [(one["kind"], one["rank"], one["host"]) for one in rows] == [
        ("straggler", 1, "far"),
        ("recovered", 1, "far"),
        ("straggler", 1, "far"),
    ]


# -- what the ranks tell each other


def test_a_lone_process_hears_itself() -> None:
    """Every value comes back under its name; a norm that is no number is not hidden by others."""
    one = torch.tensor([2.5])
    told = tell(World(), 7, loss=one, norm=one * 2, seconds=0.5, stop=True, lost=False, statistics=[])
    assert told.heard == Heard(
        step=7, loss=2.5, stop=True, lost=False, losses=(2.5,), norms=(5.0,), seconds=(0.5,)
    )


def heard(step: int, *losses: float, norms: tuple[float, ...] = (1.0, 1.0)) -> Heard:
    """Return what was heard of a step, the mean loss being that of the losses."""
    mean = sum(losses) / len(losses)
    return Heard(step=step, loss=mean, stop=False, lost=False, losses=losses, norms=norms, seconds=())


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (heard(20, 1.0, 1.0), ""),
        (
            heard(20, 1.0, float("inf")),
            "the loss is inf after step 20 on rank 1; its batch: 0000000000000014 (all",
        ),
        (heard(20, 1.0, 2.9), ""),
        (heard(20, 1.0, 3.1), "the loss is 3.1 after step 20 on rank 1, 3.1 times the median of 19 steps"),
        (
            heard(20, 1.0, 1.0, norms=(float("nan"), 1.0)),
            "the gradient norm is nan after step 20 on ranks 0, 1",
        ),
    ],
)
def test_a_loss_that_went_wrong(
    last: Heard, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rank with the worst loss is named with its samples; a norm that is no number is nobody's in particular."""
    monkeypatch.setattr(divergence, "gather_bytes", lambda mine: [mine, mine])
    guard = divergence.LossGuard(tmp_path.as_uri(), TrainConfig(explode_factor=3), World(world_size=2))
    for step in range(1, 21):
        guard.keep(step, np.array([step], np.uint64))
        one = last if step == 20 else heard(step, 1.0, 1.0)
        if said and step == 20:
            with pytest.raises(RunFailedError, match=re.escape(said)):
                guard.check(one)
            return
        guard.check(one)
        guard.check(one)  # read at once before a save, and once more later
    assert not (tmp_path / incidents.FILE).exists()


# -- replicas


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_every_single_bit_counts(dtype: torch.dtype) -> None:
    """Each bit of tensors of odd sizes, flipped alone, changes the hash; the same bits give the same hash."""
    torch.manual_seed(0)
    tensors = [torch.randint(0, 2, size).to(dtype) for size in ((3, 5), (), (0,), (7,))]
    sound = int(bits_hash(tensors))
    assert int(bits_hash([one.clone() for one in tensors])) == sound
    for tensor in tensors:
        content = tensor.view(-1).view(torch.uint8)
        for place in range(content.numel()):
            for bit in range(8):
                content[place] ^= 1 << bit
                assert int(bits_hash(tensors)) != sound
                content[place] ^= 1 << bit
    assert int(bits_hash(tensors)) == sound


def test_two_tensors_cannot_trade_places() -> None:
    """Equal sums in another order, and a network's tied, sliced and misaligned tensors, are told apart."""
    one, two = torch.arange(8.0), torch.arange(8.0).flip(0)
    assert int(bits_hash([one, two * 2])) != int(bits_hash([two * 2, one]))
    whole = torch.arange(9.0)
    part = whole[1:]  # begins at an odd word
    assert int(bits_hash([part])) == int(bits_hash([part.clone()]))
    model = nn.BatchNorm1d(3)
    before = int(bits_hash([*model.parameters(), *model.buffers()]))
    statistic: Tensor = model.get_buffer("running_mean")
    statistic.view(torch.int32)[0] ^= 1
    assert int(bits_hash([*model.parameters(), *model.buffers()])) != before


def test_the_majority_names_the_odd_rank() -> None:
    """More than half must agree."""
    assert outvoted([5, 5, 9]) == [2]
    assert outvoted([5, 9, 5, 5, 8]) == [1, 4]
    assert outvoted([5, 9]) == []
    assert outvoted([5, 5, 9, 9]) == []


def test_a_replay_names_the_rank_that_it_does_not_repeat() -> None:
    """The first loss that differs, or else the hash; where both or none differ, nobody is named."""
    before = {1: [(1.0, 5), (1.0, 6)], 2: [(0.9, 5), (0.9, 7)], 3: [(0.7, 1), (0.7, 2)]}
    again = {1: [(1.0, 5), (1.0, 6)], 2: [(0.9, 5), (0.9, 6)], 3: [(0.6, 3), (0.6, 4)]}
    assert first_to_differ(before, again) == [1]
    assert first_to_differ(before, before) == []
    found = ReplicasDifferError(3, [5, 9], before)
    assert judged(found, Replay(signed=again, hashes=[6, 6]))[0] == [1]
    assert judged(found, Replay(signed=before, hashes=[9, 9]))[0] == [0]
    assert judged(found, Replay(signed=before, hashes=[5, 9])) == (
        [],
        "a replay gave each rank the same bits again",
    )
    assert judged(found, Replay(signed=before, hashes=[6, 6])) == ([], "a replay gave every rank other bits")


# -- incidents


def test_incidents_add_up_and_the_last_checkpoint_is_a_complete_one(tmp_path: Path) -> None:
    """A line each, in order; a checkpoint without its manifest is none."""
    run = tmp_path.as_uri()
    assert incidents.last_checkpoint(run) == "none, it begins anew"
    for step in (1, 2):
        incidents.record(run, "loss", step=step)
        (tmp_path / "checkpoints" / f"step-00000000{step}").mkdir(parents=True)
    (tmp_path / "checkpoints" / "step-000000001" / "manifest.json").touch()
    rows = [json.loads(line) for line in (tmp_path / incidents.FILE).read_text().splitlines()]
    assert [(one["kind"], one["step"]) for one in rows] == [("loss", 1), ("loss", 2)]
    assert incidents.last_checkpoint(run) == "step-000000001"
