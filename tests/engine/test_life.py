"""A stack's life on the real engine: previewed, made, left alone, killed half-way, and gone without a trace."""

from __future__ import annotations

from pathlib import Path

from tests.engine.accident import kill_half_way
from tests.engine.cloud import Cloud, start_cloud
from tests.engine.deployment import Deployment, deploy
from tests.engine.inventory import inventory
from tests.stacks import recorded

HALF_WAY = 60
"""Resources of the 130 that are made when the engine is killed."""


def test_a_preview_makes_nothing(tmp_path: Path) -> None:
    """It creates exactly what the mocks recorded, and the account stays as it was."""
    with start_cloud() as cloud:
        before = inventory(cloud.client)
        stack = deploy("dev", tmp_path / "stack", cloud.environment(tmp_path))
        expected = {one.name for one in recorded("dev").resources} | {"skylift-dev"}
        assert stack.preview().changes() == {"create": expected}
        assert inventory(cloud.client) == before


def test_a_second_up_changes_nothing(dev: Deployment) -> None:
    """And what is exported is what operators and nodes read."""
    assert dev.up().changes() == {}


def test_the_second_up_of_prod_changes_nothing(prod: Deployment) -> None:
    """Three zones, EFA, tokens, a firewall, a copy in a second region: the same."""
    assert prod.up().changes() == {}


def test_an_up_that_is_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    """Nothing is made twice, and a destroy afterwards leaves nothing behind."""
    with start_cloud() as cloud:
        before = inventory(cloud.client)
        stack = deploy("dev", tmp_path / "stack", cloud.environment(tmp_path))
        made = kill_half_way(stack, HALF_WAY)
        created = stack.up().changes()["create"]
        assert len(created) <= len(recorded("dev").resources) + 1 - made
        assert stack.preview(refresh=True).changes() == {}
        stack.destroy()
        assert stack.resources() == []
        assert inventory(cloud.client) == before


def test_a_destroy_leaves_the_account_empty(cloud: Cloud, destroyed: Deployment) -> None:
    """Not by the engine's word: AWS's own lists are as they were before."""
    assert destroyed.resources() == []
    assert inventory(cloud.client) == cloud.before
