"""The metadata service is asked as EC2 wants it, and a notice is seen."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx
import pytest

from serve_config import instance
from serve_config.errors import ServeFailedError
from serve_config.instance import Instance, Notice, spot_notice
from serve_config.leave import serving_seconds
from tests.metadata import metadata_server


def test_every_question_carries_the_token_of_one_session() -> None:
    """The id is told, what is not there is None, and one token does for all."""
    with metadata_server("i-0123") as service:

        async def ask() -> tuple[str, str | None, Notice | None]:
            async with httpx.AsyncClient(base_url=service.endpoint("i-0123")) as client:
                told = Instance(client)
                return await told.id(), await told.read("meta-data/nothing"), await told.notice()

        assert asyncio.run(ask()) == ("i-0123", None, None)
        assert [method for method, _ in service.asked].count("PUT") == 1


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("spot/instance-action", '{"action": "terminate", "time": "2026-11-24T18:22:00Z"}', "spot"),
        ("autoscaling/target-lifecycle-state", "Terminated", "scale-in"),
    ],
)
def test_a_notice_is_waited_for(path: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes while the node waits."""
    monkeypatch.setattr(instance, "LOOK_SECONDS", 0.02)
    with metadata_server() as service:
        told = service.values["i-0123"] = {"autoscaling/target-lifecycle-state": "InService"}

        async def wait() -> Notice:
            async with httpx.AsyncClient(base_url=service.endpoint("i-0123")) as client:
                waiting = asyncio.create_task(Instance(client).noticed())
                await asyncio.wait([waiting], timeout=0.1)
                assert not waiting.done()
                told[path] = value
                return await asyncio.wait_for(waiting, 10)

        assert asyncio.run(wait()).reason == reason


def test_where_no_metadata_service_is_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is no instance is told after some tries."""
    monkeypatch.setattr(instance, "PAUSE_SECONDS", 0.0)

    async def ask() -> None:
        async with httpx.AsyncClient(base_url="http://127.0.0.1:9") as client:
            await Instance(client).id()

    with pytest.raises(ServeFailedError, match=r"does not tell the instance's id .*; is this EC2\?"):
        asyncio.run(ask())


def test_a_spot_notice_says_how_long() -> None:
    """EC2 writes the time of the end; without one the node leaves all the same."""
    now = datetime(2026, 11, 24, 18, 20, tzinfo=UTC)
    action = '{"action": "terminate", "time": "2026-11-24T18:22:00Z"}'
    assert spot_notice(action, now) == Notice(reason="spot", seconds=120.0)
    assert spot_notice(action, now.replace(hour=19)) == Notice(reason="spot", seconds=0.0)
    assert spot_notice("soon", now) == Notice(reason="spot")


@pytest.mark.parametrize(("seconds", "serves"), [(None, 60.0), (120.0, 60.0), (50.0, 30.0), (5.0, 0.0)])
def test_how_long_a_leaving_node_serves_on(seconds: float | None, serves: float) -> None:
    """The load balancer's delay, and less where the machine ends before."""
    assert serving_seconds(60, Notice(reason="spot", seconds=seconds)) == serves
