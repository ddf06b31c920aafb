"""The metadata service, as a node asks it: with a token, again when it fails, and what its notices mean."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_code import instance
from model_code.errors import InputError, RunFailedError
from model_code.instance import InstanceMetadata
from tests.metadata import MetadataServer, metadata_server


@pytest.fixture
def server() -> Iterator[MetadataServer]:
    """A metadata service of one machine, `i-1`."""
    with metadata_server("i-1") as server:
        yield server


def test_every_answer_needs_a_token_that_is_asked_for_once(server: MetadataServer) -> None:
    """One PUT, then GETs below the endpoint's own path."""
    metadata = InstanceMetadata(server.endpoint("i-1"))
    assert (metadata.instance_id(), metadata.instance_id()) == ("i-1", "i-1")
    assert server.asked == [
        ("PUT", "/i-1/latest/api/token"),
        ("GET", "/i-1/latest/meta-data/instance-id"),
        ("GET", "/i-1/latest/meta-data/instance-id"),
    ]


def test_a_token_of_another_life_is_replaced(server: MetadataServer) -> None:
    """The service was started again: 401 is answered with a new token, once."""
    metadata = InstanceMetadata(server.endpoint("i-1"))
    metadata.instance_id()
    server.token = "another"
    assert metadata.instance_id() == "i-1"
    assert [method for method, _ in server.asked] == ["PUT", "GET", "GET", "PUT", "GET"]


def test_a_node_that_stays_has_no_notice(server: MetadataServer) -> None:
    """What is not there is 404, and `InService` is no reason to go."""
    metadata = InstanceMetadata(server.endpoint("i-1"))
    assert (metadata.notice(), metadata.terminating(), metadata.rebalance()) == ("", False, "")
    server.values["i-1"]["autoscaling/target-lifecycle-state"] = "InService"
    assert (metadata.notice(), metadata.terminating()) == ("", False)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (
            "spot/instance-action",
            '{"action": "terminate", "time": "2026-11-24T12:00:00Z"}',
            "spot interruption: terminate at 2026-11-24T12:00:00Z",
        ),
        ("spot/instance-action", "soon", "spot interruption: soon at soon"),
        ("autoscaling/target-lifecycle-state", "Terminated", "its Auto Scaling group terminates it"),
    ],
)
def test_a_notice_says_why(server: MetadataServer, name: str, value: str, reason: str) -> None:
    """Spot interruption and scale-in; a body in another form is quoted."""
    server.values["i-1"][name] = value
    assert InstanceMetadata(server.endpoint("i-1")).notice() == reason


def test_a_rebalance_recommendation_is_no_notice(server: MetadataServer) -> None:
    """It says that an interruption is likely, not that it comes."""
    server.values["i-1"]["events/recommendations/rebalance"] = '{"noticeTime": "2026-11-24T11:00:00Z"}'
    metadata = InstanceMetadata(server.endpoint("i-1"))
    assert (metadata.notice(), metadata.rebalance()) == ("", "2026-11-24T11:00:00Z")


def test_a_service_that_fails_is_an_os_error(server: MetadataServer) -> None:
    """Callers ask again: it is no answer that the node stays."""
    server.status = 503
    with pytest.raises(OSError, match="no token: status 503"):
        InstanceMetadata(server.endpoint("i-1")).notice()


def test_a_machine_without_the_service_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """After some attempts, in one line with what to do."""
    monkeypatch.setattr(instance, "ATTEMPTS", 1)
    with pytest.raises(RunFailedError, match=r"127\.0\.0\.1:9 must say the instance's id: .*refused.*IMDSv2"):
        InstanceMetadata("http://127.0.0.1:9").instance_id()


@pytest.mark.parametrize("endpoint", ["169.254.169.254", "https://169.254.169.254", "http://"])
def test_an_endpoint_that_is_no_http_url_is_refused(endpoint: str) -> None:
    """The service speaks plain HTTP on the machine's own host."""
    with pytest.raises(InputError, match="AWS_EC2_METADATA_SERVICE_ENDPOINT must be http://HOST"):
        InstanceMetadata(endpoint)
