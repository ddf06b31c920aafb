"""The load balancer with real targets: who is let in, where requests go, and what happens when a target leaves."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from tests.rehearsal.balanced import HOST, Balanced, balanced, client_context, until
from tests.rehearsal.tokens import tokens


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    """A balancer with two targets, which are healthy."""
    with balanced(tmp_path_factory.mktemp("balancer")) as made:
        yield made


@pytest.fixture
def both(started: Balanced) -> Balanced:
    """The same, both targets healthy again whatever a test before did to them."""
    for instance in started.instances:
        if instance not in started.processes:
            started.serve(instance)
        started.become(instance, 200)
    started.register(*started.instances)
    started.wait(dict.fromkeys(started.instances, "healthy"))
    return started


def get(where: Balanced, path: str = "/x", token: str | None = None) -> tuple[int, dict[str, str], bytes]:
    """Return the answer to one request."""

    async def ask() -> tuple[int, dict[str, str], bytes]:
        async with where.session(token) as session, session.get(path) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.read()

    return asyncio.run(ask())


async def fetch(session: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    """Return a status and who answered; 0 where the connection failed."""
    try:
        async with session.post(path, data=b"x" * 1000) as answer:
            body = await answer.read()
            return answer.status, json.loads(body)["address"] if answer.status == 200 else ""
    except aiohttp.ClientError:
        return 0, ""


async def load(
    where: Balanced, act: Callable[[], None], *, clients: int = 8, seconds: float = 2.0
) -> list[tuple[int, str]]:
    """Send requests one after the other by several clients, do something meanwhile, and return all answers."""
    answers, ends = [], time.monotonic() + seconds
    acted = False

    async with where.session() as session:

        async def client() -> None:
            while time.monotonic() < ends or not acted:
                answers.append(await fetch(session, "/x?seconds=0.02"))

        async def actor() -> None:
            nonlocal acted
            await asyncio.sleep(seconds / 4)
            await asyncio.to_thread(act)
            acted = True

        await asyncio.gather(actor(), *(client() for _ in range(clients)))
    return answers


def test_tokens(both: Balanced) -> None:
    """Only one that the issuer signed, that is for now, lets a request in; no target sees the others."""
    before = both.balancer.stats()
    shown = tokens(both.issuer)
    wanted = {name: status for name, (_, status) in shown.items()}
    assert {name: get(both, token=token)[0] for name, (token, _) in shown.items()} == wanted
    until(lambda: both.balancer.stats().requests - before.requests == len(wanted), both.balancer.stats)
    seen = Counter(both.balancer.stats().answered_by) - Counter(before.answered_by)
    assert seen.total() == list(wanted.values()).count(200)


def test_headers(both: Balanced) -> None:
    """As the listener says: for browsers, nobody's name; targets learn who asked, and how."""
    for token in (None, ""):
        status, headers, body = get(both, token=token)
        assert headers["strict-transport-security"] == "max-age=31536000"
        assert "server" not in headers
        if status == 200:
            seen = json.loads(body)["headers"]
            assert seen["x-forwarded-for"] == "127.0.0.1"
            assert seen["x-forwarded-proto"] == "https"
            assert seen["x-forwarded-port"] == str(both.port)
            assert seen["host"] == f"models.example.com:{both.port}"
        else:
            assert headers["www-authenticate"] == "Bearer"


def test_a_target_that_is_deregistered(both: Balanced) -> None:
    """It finishes what it has and gets nothing new; the API says `draining` until the delay is over, then nothing."""
    leaving, staying = both.instances

    async def during() -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
        async with both.session() as session:
            slow = [asyncio.ensure_future(fetch(session, "/slow?seconds=2")) for _ in range(6)]
            until_busy = asyncio.to_thread(until, lambda: busy(both) == 6, lambda: busy(both))
            await until_busy
            await asyncio.to_thread(both.deregister, leaving)
            await asyncio.to_thread(until, lambda: drained(both, leaving))
            quick = [await fetch(session, "/x") for _ in range(40)]
            return await asyncio.gather(*slow), quick

    begun = time.monotonic()
    slow, quick = asyncio.run(during())
    addresses = both.instances
    assert Counter(slow) == {(200, addresses[leaving]): 3, (200, addresses[staying]): 3}
    assert Counter(quick) == {(200, addresses[staying]): 40}
    assert both.health() == {
        staying: ("healthy", None),
        leaving: ("draining", "Target.DeregistrationInProgress"),
    }
    both.wait({staying: "healthy"})
    assert time.monotonic() - begun > 5  # the group's delay
    one = both.elb.describe_target_health(TargetGroupArn=both.arns["group"], Targets=[{"Id": leaving}])
    assert one["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"] == "Target.NotRegistered"


def busy(where: Balanced) -> int:
    """Return how many requests are at targets now."""
    return sum(int(row["scur"]) for row in where.balancer._haproxy.servers().values())


def drained(where: Balanced, instance: str) -> bool:
    """Return whether HAProxy drains a target."""
    row = where.balancer._haproxy.servers().get(("serve-nodes", instance))
    return row is not None and row["status"].startswith("DRAIN")


def test_a_target_that_is_killed(both: Balanced) -> None:
    """Those in flight on it fail, and no others: a connection that cannot be made is tried on another target."""
    killed, _ = both.instances
    before = both.balancer.stats()

    async def during() -> list[tuple[int, str]]:
        async with both.session() as session:
            slow = [asyncio.ensure_future(fetch(session, "/slow?seconds=1")) for _ in range(6)]
            await asyncio.to_thread(until, lambda: busy(both) == 6, lambda: busy(both))
            await asyncio.to_thread(both.kill, killed)
            return await asyncio.gather(*slow, *(fetch(session, "/x") for _ in range(60)))

    answers = asyncio.run(during())
    assert Counter(status for status, _ in answers) == {200: 63, 502: 3}
    until(lambda: both.health()[killed] == ("unhealthy", "Target.FailedHealthChecks"), both.health)
    until(lambda: both.balancer.stats().failed - before.failed == 3, both.balancer.stats)


def test_nobody_is_healthy(both: Balanced) -> None:
    """An application load balancer fails open: requests go to all that are registered. Without any, it says 503."""
    for instance in both.instances:
        both.become(instance, 503)
    both.wait(dict.fromkeys(both.instances, "unhealthy"))
    assert {reason for _, reason in both.health().values()} == {"Target.ResponseCodeMismatch"}

    async def twenty() -> list[tuple[int, str]]:
        async with both.session() as session:
            return [await fetch(session, "/x") for _ in range(20)]

    answers = Counter(asyncio.run(twenty()))
    assert set(answers) == {(200, address) for address in both.instances.values()}
    both.deregister(*both.instances)
    until(lambda: get(both)[0] == 503)
    assert b"<h1>503 Service Temporarily Unavailable</h1>" in get(both)[2]


def test_another_configuration_loses_nothing(both: Balanced) -> None:
    """A listener that changes under load: the new worker goes on with the same targets, no request fails."""
    worker = both.balancer._haproxy._worker()

    def change() -> None:
        both.elb.modify_listener_attributes(
            ListenerArn=both.arns["listener"],
            Attributes=[
                {
                    "Key": "routing.http.response.strict_transport_security.header_value",
                    "Value": f"max-age={time.monotonic_ns()}",
                }
            ],
        )
        until(lambda: both.balancer._haproxy._worker() not in (worker, ""))

    answers = asyncio.run(load(both, change))
    assert {status for status, _ in answers} == {200}, Counter(answers)
    assert {address for _, address in answers} == set(both.instances.values())
    assert len(answers) > 100


def test_another_key_of_the_issuer(both: Balanced) -> None:
    """A token that names an unknown key makes the balancer fetch the keys again; the former key is good no longer."""
    former = both.issuer.token("tester")
    both.issuer.renew()
    until(lambda: get(both)[0] == 200)
    assert get(both, token=former)[0] == 401


def test_what_is_offered(both: Balanced) -> None:
    """TLS 1.2 and 1.3, HTTP/2 where the client speaks it; the UNIX socket leads to the same."""
    context = client_context(both.authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", both.port)) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as secured,
    ):
        assert (secured.version(), secured.selected_alpn_protocol()) == ("TLSv1.3", "h2")
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(str(both.balancer.door))
        with context.wrap_socket(door, server_hostname=HOST) as secured:
            assert secured.version() == "TLSv1.3"


def test_cloudwatch_is_told(both: Balanced) -> None:
    """Under the dimensions that the program's alarms ask for."""
    balancer = both.arns["balancer"].partition("loadbalancer/")[2]
    group = both.arns["group"].rpartition(":")[2]
    assert get(both)[0] == 200
    of = {"LoadBalancer": balancer}

    def value(name: str, statistic: str, dimensions: dict[str, str]) -> float:
        now = datetime.now(UTC)
        found = both.emulator.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/ApplicationELB",
            MetricName=name,
            Dimensions=[{"Name": key, "Value": one} for key, one in dimensions.items()],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=7200,
            Statistics=[statistic],
        )
        return float(sum(one[statistic] for one in found["Datapoints"]))

    until(lambda: value("RequestCount", "Sum", of) > 0)
    assert value("TargetResponseTime", "Maximum", of) > 0
    # The requests' report may be of a moment when one of them was not healthy yet; the next says both.
    healthy = {**of, "TargetGroup": group}
    until(lambda: value("HealthyHostCount", "Maximum", healthy) == 2)
