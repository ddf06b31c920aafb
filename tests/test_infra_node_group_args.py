"""What a group of nodes is asked for with: one room each, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from infra.node_group_args import NodeGroupArgs
from tests.test_infra_node_group import SERVE, TRAIN, with_training


@pytest.mark.parametrize(
    ("build", "given"),
    [
        (lambda: replace(TRAIN, training=None), "none"),
        (lambda: replace(TRAIN, serving=SERVE.serving), "['train', 'serve']"),
        (lambda: replace(SERVE, room="train"), "['serve']"),
    ],
)
def test_a_group_of_no_room_is_refused(build: Callable[[], NodeGroupArgs], given: str) -> None:
    with pytest.raises(ValueError, match="needs the part") as refused:
        build()
    assert str(refused.value) == (
        f"a group of the room `train` needs the part of that room alone, got {given}; "
        "give `training` for train, `serving` for serve"
    )


@pytest.mark.parametrize(
    ("percentage", "base", "may"),
    [(0, 0, True), (50, 1, True), (100, 0, False), (0, 4, False), (99, 3, True)],
)
def test_only_nodes_above_the_base_may_be_spot(percentage: int, base: int, may: bool) -> None:
    assert replace(SERVE, on_demand_percentage=percentage, on_demand_base=base).may_be_spot is may


@pytest.mark.parametrize(
    "changes", [{"efa": True}, {"placement_group": True}, {"capacity_reservation_id": "cr-0123456789abcdef0"}]
)
def test_what_cannot_span_two_zones_stays_in_one(changes: dict[str, Any]) -> None:
    assert with_training(**changes).one_zone
    assert not TRAIN.one_zone
    assert not SERVE.one_zone
