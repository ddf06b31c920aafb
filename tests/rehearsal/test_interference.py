"""What the emulated AWS does wrong on request, as AWS's own clients see it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from infra.rehearsal.interference import CONTROLS, OPERATOR, Interference, Rules

ROLE = "ASIAROLE"


class Cloud:
    """An emulated account in this process, and its rules."""

    def __init__(self) -> None:
        self.rules = Rules()
        application = Interference(DomainDispatcherApplication(create_backend_app), self.rules)
        self.server: BaseWSGIServer = make_server(
            "127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler
        )
        self.clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, key: str = ROLE) -> Any:
        """Return a client that asks once."""
        if (service, key) not in self.clients:
            self.clients[service, key] = botocore.session.get_session().create_client(
                service,
                region_name="eu-central-1",
                endpoint_url=f"http://127.0.0.1:{self.server.server_port}",
                aws_access_key_id=key,
                aws_secret_access_key="secret",
                config=Config(
                    retries={"total_max_attempts": 1},
                    s3={"addressing_style": "path"},
                    request_checksum_calculation="when_required",
                ),
            )
        return self.clients[service, key]


@pytest.fixture(scope="module")
def served() -> Iterator[Cloud]:
    """Serve one for all tests."""
    cloud = Cloud()
    thread = threading.Thread(target=cloud.server.serve_forever)
    thread.start()
    place = {"LocationConstraint": "eu-central-1"}
    cloud.client("s3", OPERATOR).create_bucket(Bucket="work", CreateBucketConfiguration=place)
    yield cloud
    cloud.server.shutdown()
    cloud.server.server_close()
    thread.join()


@pytest.fixture
def cloud(served: Cloud) -> Iterator[Cloud]:
    """Leave no rule behind."""
    yield served
    served.rules.calm()


def code(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    """Return the AWS error code and the status."""
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_s3_is_refused_to_roles_and_not_to_the_operator(cloud: Cloud) -> None:
    cloud.rules.interfere(name="away", harm="refuse", service="s3")
    cloud.client("s3", OPERATOR).put_object(Bucket="work", Key="a", Body=b"1")
    with pytest.raises(ClientError) as error:
        cloud.client("s3").get_object(Bucket="work", Key="a")
    assert code(error) == ("SlowDown", 503)
    cloud.client("ec2").describe_instances()  # another service
    assert cloud.rules.calm() == {"away": 1}
    assert cloud.client("s3").get_object(Bucket="work", Key="a")["Body"].read() == b"1"


@pytest.mark.parametrize(
    ("service", "method", "words", "refused"),
    [
        ("ec2", "describe_instances", {}, ("RequestLimitExceeded", 503)),
        ("autoscaling", "describe_auto_scaling_groups", {}, ("Throttling", 400)),
        ("kms", "list_keys", {}, ("ThrottlingException", 400)),
        ("cloudwatch", "describe_alarms", {}, ("ThrottlingException", 400)),
    ],
)
def test_a_refusal_is_worded_as_the_service_does(
    cloud: Cloud, service: str, method: str, words: dict[str, Any], refused: tuple[str, int]
) -> None:
    action = "".join(part.title() for part in method.split("_"))
    cloud.rules.interfere(
        name="throttled", harm="refuse", action=action, code=refused[0], status=refused[1], times=1
    )
    with pytest.raises(ClientError) as error:
        getattr(cloud.client(service), method)(**words)
    assert code(error) == refused
    getattr(cloud.client(service), method)(**words)  # once
    assert cloud.rules.harmed() == {"throttled": 1}


def test_a_head_is_refused_without_a_body(cloud: Cloud) -> None:
    cloud.rules.interfere(name="away", harm="refuse", service="s3", action="HEAD")
    with pytest.raises(ClientError) as error:
        cloud.client("s3").head_object(Bucket="work", Key="a")
    assert code(error) == ("503", 503)


def test_an_upload_is_cut_half_way(cloud: Cloud) -> None:
    cloud.rules.interfere(name="cut", harm="reset", service="s3", action="PUT", path="/checkpoints/", times=1)
    put = cloud.client("s3").put_object
    put(Bucket="work", Key="other", Body=b"x")
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        put(Bucket="work", Key="checkpoints/a", Body=b"x" * 1_000_000)
    assert "checkpoints/a" not in keys(cloud)
    put(Bucket="work", Key="checkpoints/a", Body=b"x" * 1_000_000)
    assert cloud.rules.calm("cut") == {"cut": 1}


def test_half_of_an_object_is_stored(cloud: Cloud) -> None:
    cloud.rules.interfere(name="torn", harm="tear", service="s3", action="PUT", path=r"torn\.bin$")
    cloud.client("s3").put_object(Bucket="work", Key="torn.bin", Body=b"abcdef")
    assert cloud.client("s3").get_object(Bucket="work", Key="torn.bin")["Body"].read() == b"abc"


def test_a_slow_answer_comes_when_the_rule_is_lifted(cloud: Cloud) -> None:
    cloud.rules.interfere(name="slow", harm="slow", service="s3", delay_seconds=30)
    begun = time.monotonic()
    asking = threading.Thread(target=lambda: keys(cloud))
    asking.start()
    while not cloud.rules.harmed()["slow"]:
        asking.join(0.01)
    assert cloud.rules.calm("slow") == {"slow": 1}
    asking.join(10)
    assert not asking.is_alive()
    assert time.monotonic() - begun < 10


def test_a_rule_ends_by_itself(cloud: Cloud) -> None:
    cloud.rules.interfere(name="short", harm="refuse", service="s3", seconds=2)
    with pytest.raises(ClientError):
        keys(cloud)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert keys(cloud) is not None
            break
        except ClientError:
            threading.Event().wait(0.05)
    else:
        pytest.fail("the rule does not end")


def test_a_rule_for_one_node_leaves_the_others(cloud: Cloud) -> None:
    cloud.rules.interfere(name="elsewhere", harm="refuse", service="s3", address="10.20.0.4")
    assert keys(cloud) is not None
    cloud.rules.interfere(name="here", harm="refuse", service="s3", address="127.0.0.1")
    with pytest.raises(ClientError):
        keys(cloud)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"harm": "refuse"}, "a rule must have name, got none; give it"),
        ({"name": "a"}, "a rule must have harm, got none; give it"),
        (
            {"name": "a", "harm": "bite"},
            "harm must be one of refuse, slow, reset, tear, got `bite`; take one",
        ),
        ({"name": "a", "harm": "refuse", "status": 200}, "status must be 400 to 599, got 200; .*"),
        ({"name": "a", "harm": "slow", "seconds": -1}, "seconds must be 0 or more, got -1; raise it"),
        ({"name": "a", "harm": "slow", "path": "("}, r"path must be a regular expression, got `\(` .*"),
        ({"name": "a", "harm": "slow", "mood": "bad"}, "a rule must have .*, got `mood`; leave it out"),
    ],
)
def test_a_rule_that_breaks_a_rule_is_refused(facts: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        Rules().interfere(**facts)


def test_the_controls_are_those_of_one_set_of_rules() -> None:
    CONTROLS["interfere"](name="once", harm="slow")
    assert CONTROLS["harmed"]() == {"once": 0}
    assert CONTROLS["calm"]() == {"once": 0}
    assert CONTROLS["harmed"]() == {}


def keys(cloud: Cloud) -> list[str]:
    """Return the names in the bucket, as a role sees them."""
    return [one["Key"] for one in cloud.client("s3").list_objects_v2(Bucket="work").get("Contents", [])]
