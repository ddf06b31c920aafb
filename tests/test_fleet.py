"""A node's calls to its group and its load balancer, against an emulated AWS."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from serve_config.census import SPREAD_SECONDS
from serve_config.cloud_metrics import Look
from serve_config.fleet import Fleet, clients, public_key, tried
from serve_config.repair import FIRST_PAUSE, Repair, machine_at_fault
from serve_config.report import REPORT_SECONDS, Reporter
from serve_config.workplace import Memory
from tests.cloud_node import REGION, Place
from tests.training_group import emulated


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A group of two behind a target group."""
    with emulated(monkeypatch):
        yield Place()


def fleet_of(place: Place, folder: Path) -> tuple[Fleet, str, str]:
    """Return a node's fleet, its own id, and the other's."""
    own, other = sorted(one["InstanceId"] for one in place.instances())
    return Fleet(place.settings(folder), clients(REGION), own), own, other


def test_a_node_leaves_the_load_balancer_alone(place: Place, tmp_path: Path) -> None:
    """Its own registration goes, the other's stays."""
    fleet, own, other = fleet_of(place, tmp_path)
    assert place.registered() == {own, other}
    assert fleet.in_balancer()
    assert fleet.healthy_others() == 1
    fleet.leave_balancer()
    assert place.registered() == {other}
    assert not fleet.in_balancer()


def overheard(monkeypatch: pytest.MonkeyPatch, client: Any, call: str) -> list[dict[str, Any]]:
    """Return a list that grows by the words of each such call; it is answered as before."""
    said: list[dict[str, Any]] = []
    answer = getattr(client, call)

    def ask(**words: Any) -> Any:
        said.append(words)
        return answer(**words)

    monkeypatch.setattr(client, call, ask)
    return said


def test_a_node_knows_who_is_there(place: Place, tmp_path: Path) -> None:
    """Both are in service; a node that the group does not list counts itself."""
    fleet, own, other = fleet_of(place, tmp_path)
    assert fleet.members() == [own, other]
    stranger = Fleet(place.settings(tmp_path), clients(REGION), "i-0stranger")
    assert stranger.members() == sorted([own, other, "i-0stranger"])


def test_a_node_knows_how_many_are_to_be_there(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One number, without a word of who they are; a group that is gone has this node alone."""
    fleet, _, _ = fleet_of(place, tmp_path)
    said = overheard(monkeypatch, fleet._aws.autoscaling, "describe_auto_scaling_groups")
    assert fleet.size() == 2
    assert said == [{"AutoScalingGroupNames": [place.group], "IncludeInstances": False}]
    gone = replace(place.settings(tmp_path), group="gone")
    assert Fleet(gone, clients(REGION), "i-0").size() == 1


def test_a_node_asks_to_be_replaced(place: Place, tmp_path: Path) -> None:
    """Its health in the group is Unhealthy, the other's is not."""
    fleet, own, _ = fleet_of(place, tmp_path)
    fleet.report_unhealthy()
    health = {one["InstanceId"]: one["HealthStatus"] for one in place.instances()}
    assert health.pop(own) == "Unhealthy"
    assert set(health.values()) == {"Healthy"}


def test_the_public_key_is_kms_own(place: Place) -> None:
    """The PEM holds the very key that KMS signs with."""
    found = load_pem_public_key(public_key(clients(REGION), place.key))
    assert getattr(found, "curve").name == "secp256r1"  # noqa: B009 - the loader returns any kind of key


def test_a_refusal_of_aws_is_said_and_not_raised(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A node whose target group is gone goes on with what is left to do."""
    gone = place.target_group.replace("targetgroup/", "targetgroup/gone")
    settings = replace(place.settings(tmp_path), target_group=gone)
    fleet = Fleet(settings, clients(REGION), "i-0")
    assert not asyncio.run(tried(fleet.leave_balancer, "leave the load balancer"))
    assert "could not leave the load balancer: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("proven_here", "healthy_others", "at_fault"),
    [(False, 0, False), (True, 0, True), (False, 1, True), (True, 1, True)],
)
def test_whose_fault_it_is(*, proven_here: bool, healthy_others: int, at_fault: bool) -> None:
    """A release that nobody ever served is at fault itself: no machine is replaced for it."""
    assert machine_at_fault(proven_here=proven_here, healthy_others=healthy_others) is at_fault


def test_the_third_end_in_a_row_gives_the_machine_back(place: Place, tmp_path: Path) -> None:
    """Pauses double; the group is asked once, though the node ends again."""
    fleet, own, _ = fleet_of(place, tmp_path)
    repair = Repair(fleet, Memory(tmp_path, "tiny"))

    async def ends() -> list[float]:
        return [await repair.failed() for _ in range(2)]

    assert asyncio.run(ends()) == [FIRST_PAUSE, 2 * FIRST_PAUSE]
    assert {one["HealthStatus"] for one in place.instances()} == {"Healthy"}
    assert asyncio.run(ends()) == [4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
    assert [one["InstanceId"] for one in place.instances() if one["HealthStatus"] == "Unhealthy"] == [own]


def test_numbers_are_reported_once_a_minute(place: Place, tmp_path: Path) -> None:
    """The first look is the beginning; the next report comes a minute later, with the time between."""
    fleet, _, _ = fleet_of(place, tmp_path)
    reporter = Reporter(place.settings(tmp_path), fleet, clients(REGION), tmp_path / "nodes")

    async def looks() -> None:
        await reporter.take(Look(seconds=0))
        await reporter.take(Look(seconds=REPORT_SECONDS / 2, answered=1, queued_us=9e9))
        await reporter.take(Look(seconds=REPORT_SECONDS, answered=10, queued_us=50_000, workers=2))

    asyncio.run(looks())
    listed = boto3.client("cloudwatch", REGION).list_metrics(Namespace="Skylift/test")["Metrics"]
    assert sorted(one["MetricName"] for one in listed) == [
        "QueueMilliseconds",
        "Refused",
        "RequestsPerSecond",
        "WorkersReady",
    ]
    assert {str(one["Dimensions"]) for one in listed} == {f"[{{'Name': 'Group', 'Value': '{place.group}'}}]"}


def test_a_leaving_node_asks_for_its_own_state_alone(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every few seconds: the whole group's would be a thousand states, asked for by a thousand."""
    fleet, own, _ = fleet_of(place, tmp_path)
    said = overheard(monkeypatch, fleet._aws.balancing, "describe_target_health")
    assert fleet.in_balancer()
    assert fleet.healthy_others() == 1
    assert [words.get("Targets") for words in said] == [[{"Id": own}], None]


def test_the_nodes_are_asked_for_only_while_a_rollout_is_open(place: Place, tmp_path: Path) -> None:
    """The file is there with all ids once the node's place has come, and goes when the rollout is over."""
    fleet, own, other = fleet_of(place, tmp_path)
    nodes = tmp_path / "nodes"
    reporter = Reporter(place.settings(tmp_path), fleet, clients(REGION), nodes)
    asyncio.run(reporter.take(Look(seconds=1)))
    asyncio.run(reporter.take(Look(seconds=2, percentage=50)))
    assert not nodes.exists()
    asyncio.run(reporter.take(Look(seconds=3 + SPREAD_SECONDS, percentage=50)))
    assert nodes.read_text().split() == [own, other]
    asyncio.run(reporter.take(Look(seconds=999, percentage=100)))
    assert not nodes.exists()
