"""A node hears of its end once, whoever says it; likely ends and a silent service are said once too."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from model_code.instance import InstanceMetadata
from model_code.notice import Notice
from tests.metadata import MetadataServer, metadata_server


@pytest.fixture
def server() -> Iterator[MetadataServer]:
    """A metadata service of one machine, `i-1`."""
    with metadata_server("i-1") as server:
        yield server


@pytest.fixture
def notice(server: MetadataServer) -> Iterator[Notice]:
    """A thread that listens to it."""
    notice = Notice(InstanceMetadata(server.endpoint("i-1")), poll=0.02, woken=threading.Event())
    notice.start()
    yield notice
    notice.stop()


def looks(server: MetadataServer, more: int) -> None:
    """Wait until the service was asked some more times."""
    wanted, deadline = len(server.asked) + more, time.monotonic() + 60
    while len(server.asked) < wanted:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_spot_notice_wakes_the_node(server: MetadataServer) -> None:
    """With its reason; afterwards nobody asks any more."""
    woken = threading.Event()
    notice = Notice(InstanceMetadata(server.endpoint("i-1")), poll=0.02, woken=woken)
    notice.start()
    looks(server, 4)
    assert (notice.reason, woken.is_set()) == ("", False)
    server.values["i-1"]["spot/instance-action"] = '{"action": "terminate", "time": "soon"}'
    assert woken.wait(60)
    assert notice.reason == "spot interruption: terminate at soon"
    notice.stop()
    notice.give("another reason")
    assert notice.reason == "spot interruption: terminate at soon"


def test_a_likely_interruption_is_said_once(
    server: MetadataServer, notice: Notice, capsys: pytest.CaptureFixture[str]
) -> None:
    """The training goes on: EC2 only says that the risk has risen."""
    server.values["i-1"]["events/recommendations/rebalance"] = '{"noticeTime": "2026-11-24T11:00:00Z"}'
    looks(server, 20)
    assert notice.reason == ""
    assert capsys.readouterr().err.count("more likely than usual since 2026-11-24T11:00:00Z") == 1


def test_a_service_that_is_silent_for_a_while_is_no_notice(
    server: MetadataServer, notice: Notice, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said once, and asked again."""
    looks(server, 4)
    server.status = 503
    looks(server, 10)
    assert notice.reason == ""
    server.status = 200
    looks(server, 10)
    server.values["i-1"]["autoscaling/target-lifecycle-state"] = "Terminated"
    deadline = time.monotonic() + 60
    while not notice.reason and time.monotonic() < deadline:
        time.sleep(0.01)
    assert notice.reason == "its Auto Scaling group terminates it"
    said = capsys.readouterr().err
    assert said.count("the instance metadata service does not answer") == 1
    assert "more likely" not in said
