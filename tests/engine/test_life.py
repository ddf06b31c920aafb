"""A stack's life on the real engine: previewed, made, left alone, killed half-way, and gone without a trace."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from infra.rehearsal.faults.deploying import kill_half_way
from infra.rehearsal.stack import Deployment
from tests.engine.cloud import start_cloud
from tests.engine.conftest import deployable
from tests.stacks import recorded

HALF_WAY = 60
"""Resources of the 130 that are made when the engine is killed."""


def test_a_second_up_changes_nothing(dev: Deployment) -> None:
    """All that was asked for is there, as it was asked for."""
    assert dev.up().changes() == {}


def test_every_type_went_through_the_engine(dev: Deployment, prod: Deployment) -> None:
    """What the mocks recorded is in the engine's state, one for one."""
    for name, stack in (("dev", dev), ("prod", prod)):
        kept = Counter(one["type"] for one in stack.resources() if one["type"].startswith("aws:"))
        assert kept == Counter(one.type for one in recorded(name).resources if one.type.startswith("aws:"))


def test_the_second_up_of_prod_changes_nothing(prod: Deployment) -> None:
    """Three zones, EFA, tokens, a firewall, a copy in a second region: the same."""
    assert prod.up().changes() == {}


def test_an_up_that_is_killed_is_finished_by_the_next_and_a_destroy_leaves_nothing(tmp_path: Path) -> None:
    """By AWS's own lists, not by the engine's word: what was made is made once, and all of it goes."""
    names = {one.name for one in recorded("dev").resources} | {"skylift-dev"}
    with start_cloud(tmp_path / "cloud") as cloud, deployable(cloud, "dev", tmp_path / "dev") as stack:
        before = cloud.inventory()
        assert stack.preview().changes() == {"create": names}
        assert cloud.inventory() == before
        made = kill_half_way(stack, HALF_WAY)
        rest = stack.up().changes()
        assert set(rest) == {"create"}
        assert len(names) - made - 10 <= len(rest["create"]) <= len(names) - made
        assert stack.up(refresh=True).changes() == {}
        assert stack.destroy().changes()["delete"] == names
        assert stack.resources() == []
        assert cloud.inventory() == before
