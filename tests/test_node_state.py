"""A run goes through its stages in one direction, whoever brings it there, and never back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model_code import store
from model_code.errors import RunFailedError
from model_code.membership import heard
from model_code.roster import Roster
from model_code.state import FILE, NEXT, RunState, Stage, StateFile

WAY: tuple[Stage, ...] = ("prepare", "training", "trained", "compressed", "released", "done")


@pytest.fixture(params=["file", "s3"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A run's folder, on disk and in a bucket."""
    if request.param == "file":
        return (tmp_path / "run").as_uri()
    return store.join(request.getfixturevalue("bucket"), "run")


def test_a_run_goes_from_stage_to_stage_and_keeps_its_facts(run: str) -> None:
    """What is known of it is added up; the file says who brought it there, and when."""
    state = StateFile(run, "i-1")
    assert state.read() == RunState()
    state.move("training", shards="s3://d/v", global_batch=64)
    for stage in WAY[2:5]:
        state.move(stage)
    after = StateFile(run, "i-2").move("done", version="0123")
    assert after == state.read()
    assert (after.shards, after.global_batch, after.version, after.by) == ("s3://d/v", 64, "0123", "i-2")
    assert after.changed.startswith("20")
    assert after.over


def test_what_is_over_stays_over(run: str) -> None:
    """Whoever is late changes nothing."""
    state = StateFile(run, "i-1")
    state.move("failed", reason="no such recipe")
    before = store.read(store.join(run, FILE))
    for stage in NEXT:
        assert state.move(stage).stage == "failed"
    assert store.read(store.join(run, FILE)) == before


def test_a_stage_that_was_reached_before_is_not_reached_again(run: str) -> None:
    """Two leaders, one after the other: the second finds the work done."""
    state = StateFile(run, "i-1")
    for stage in WAY[1:4]:
        state.move(stage)
    assert StateFile(run, "i-2").move("trained").stage == "compressed"
    assert state.read().by == "i-1"


def test_no_stage_is_left_out(run: str) -> None:
    """What was not compressed is not released."""
    with pytest.raises(RunFailedError, match="says `prepare`, which `released` cannot follow"):
        StateFile(run, "i-1").move("released")


def test_of_many_at_once_one_moves_it(run: str) -> None:
    """Eight nodes find the run trained at the same instant: the file is written once."""
    StateFile(run, "i-0").move("training")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: StateFile(run, f"i-{n}").move("trained"), range(8)))
    assert {one.stage for one in found} == {"trained"}
    assert len({one.by for one in found}) == 1


def test_no_change_of_the_members_is_lost(tmp_path: Path) -> None:
    """Twenty nodes arrive at once, each by compare-and-swap (on a disk: the emulated S3 sometimes lets two win)."""
    run = tmp_path.as_uri()
    with ThreadPoolExecutor(20) as pool:
        list(
            pool.map(
                lambda n: Roster(run).change(lambda before: heard(before, {*before.here, f"i-{n}"}, ())),
                range(20),
            )
        )
    found = Roster(run).read()
    assert found is not None
    assert sorted(found.here) == sorted(f"i-{n}" for n in range(20))
