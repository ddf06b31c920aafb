"""Where the time of a disturbed training went, counted by hand; and the best interval between checkpoints."""

from __future__ import annotations

import math

import pytest

from tests.bench.goodput import moments
from tests.bench.goodput_split import Event, best_interval, expected_goodput, split


def step(number: int, begun: float, process: int, seconds: float = 1.0) -> Event:
    """Return a step."""
    return Event(begun=begun, ended=begun + seconds, kind="step", step=number, process=process)


def test_every_second_is_in_one_part() -> None:
    """Two steps and a save, a third that is lost; seven seconds later another process makes it again."""
    events = [
        step(1, 10, 1),
        step(2, 11, 1),
        Event(begun=12, ended=12.5, kind="save", step=2, process=1),
        step(3, 12.5, 1),
        Event(begun=19, ended=19.5, kind="resume", step=2, process=2),
        step(3, 20.5, 2),
        step(4, 21.5, 2, 1.5),
        step(5, 23.0, 2, 9.0),  # it had not ended when all was stopped
    ]
    found = split(events, 0, 25)
    assert (found.boot, found.productive, found.checkpoint, found.redone) == (10, 4.5, 0.5, 1)
    assert found.restart == 7 + 2  # and what was begun at the end counts for nothing
    assert found.boot + found.productive + found.checkpoint + found.redone + found.restart == found.wall == 25
    assert (found.steps, found.starts, found.goodput) == (4, 2, 4.5 / 25)


def test_a_save_at_the_end_of_a_process_is_no_restart() -> None:
    """Who is asked to stop saves first."""
    events = [
        step(1, 0, 1),
        Event(begun=1, ended=3, kind="save", step=1, process=1),
        step(2, 5, 2),
    ]
    found = split(events, 0, 6)
    assert (found.productive, found.checkpoint, found.restart, found.redone) == (2, 2, 2, 0)


def test_no_step_is_all_boot() -> None:
    """It never began."""
    assert split([], 0, 7).boot == 7


def test_youngs_interval_is_the_best_one() -> None:
    """Of the loss that it was made for: a checkpoint an interval, half an interval a failure."""
    cost, between = 5.0, 6 * 3600.0
    best = best_interval(cost, between)
    assert best == math.sqrt(2 * cost * between)

    def loss(interval: float) -> float:
        return cost / interval + interval / 2 / between

    assert loss(best) < min(loss(best * 0.9), loss(best * 1.1))
    assert expected_goodput(cost, 60, between) == pytest.approx(1 - loss(best) - (60 + cost / 2) / between)
    assert expected_goodput(60, 600, 60) == 0


def test_the_same_seed_kills_at_the_same_moments() -> None:
    """Exponentially far apart: the mean is what was asked for."""
    assert moments(6, 60, 600) == moments(6, 60, 600)
    many = moments(1, 60, 600_000)
    assert 600_000 / len(many) == pytest.approx(60, rel=0.03)
    assert 0.48 < sum(which for _, which in many) / len(many) < 0.52
