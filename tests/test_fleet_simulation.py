"""Some dozens of nodes on a clock of their own: they agree, and no node asks more because there are more of them."""

from __future__ import annotations

import asyncio

from serve_config.turn import place_of
from tests.bench import fleet_serving
from tests.bench.fleet_serving_life import OPEN_SECONDS, measure_serving
from tests.bench.fleet_training import measure_training, simulated


def test_calls_of_a_node_do_not_grow_with_the_group() -> None:
    """From boot to leave. Of an API, all of them together ask as often as few do."""
    few, many = measure_training(10), measure_training(50)
    assert many["boot_seconds"] < 40  # boot takes 10 of them
    assert many["leader_lost_seconds"] < 60
    assert many["third_lost_seconds"] < 180
    assert max(many["boot_api"], few["boot_api"]) <= 20
    assert many["steady_api"] == few["steady_api"]
    for phase in ("boot", "steady", "leave"):
        assert many[f"{phase}_s3"] / 50 < 1.3 * few[f"{phase}_s3"] / 10, phase
        assert many[f"{phase}_conflicts"] <= 5, phase
    assert many["steady_s3_bytes"] / 50 < 1.3 * few["steady_s3_bytes"] / 10


def test_all_agree_again_when_leader_and_heirs_vanish_together() -> None:
    """Whoever draws the next turn writes who leads, in the name of the one that does."""
    with simulated(20, seed=3) as nodes:
        nodes.until_agreed(training=True)
        nodes.vanish(6)
        assert nodes.until_agreed(training=False) < 180
        leaders = {one.members.leader for me, one in nodes.lookouts.items() if me in nodes.group.ids}
        assert len(leaders) == 1
        assert leaders <= set(nodes.group.ids)


def test_calls_of_serving_nodes_grow_no_faster_than_their_group() -> None:
    """From boot to leave, each phase: twice the nodes ask twice as often, and each serves what it should."""
    few, many = measure_serving(30), measure_serving(60)
    for phase in ("boot", "steady", "release", "open", "promote", "worse", "bad", "more", "leave"):
        asked = [
            one[f"{phase}_api"] - one[f"{phase}_metrics"] for one in (few, many)
        ]  # those go by the minute
        assert asked[1] <= 2.2 * asked[0] + 5, phase
        assert many[f"{phase}_s3"] <= 2.2 * few[f"{phase}_s3"], phase
        assert many[f"{phase}_seconds"] < 120, phase
    assert many["steady_metrics"] <= 2.2 * few["steady_metrics"]
    assert many["leave_balancer"] <= 6 * many["leave_nodes"]
    assert many["open_group"] <= 2.2 * few["open_group"]
    for one in (few, many):
        assert one["open_group_records"] < 0.5 * OPEN_SECONDS / 60 * one["nodes"] ** 2  # of what it once was
        assert one["open_most"] == one["open_share"] == one["nodes"] / 10
        assert (one["worse_tried"], one["worse_still"]) == (one["nodes"] / 10, one["nodes"])
        assert (one["bad_tried"], one["bad_still"]) == (one["nodes"], one["nodes"])
        assert one["boot_group"] + one["steady_group"] == one["nodes"]  # each asked for the size, once
        assert one["release_group"] == 0


def test_a_turn_is_not_lost_when_those_who_had_it_vanish() -> None:
    """The three that an open rollout took are gone: the next three take it, never more than three."""
    with fleet_serving.simulated(seed=1) as nodes:

        async def live() -> None:
            old, new = nodes.publisher.release(), nodes.publisher.release()
            nodes.publisher.point(old)
            nodes.boot(30)
            await nodes.until(nodes.all_serve(old))
            nodes.publisher.point(new, 10)
            assert await nodes.until(lambda: nodes.machines.share[new] == 3) < 200
            line = sorted(nodes.group.ids, key=place_of)
            assert {one for one, version in nodes.machines.serving.items() if version == new} == set(line[:3])
            await nodes.vanish(line[:3])
            assert nodes.machines.share[new] == 0
            assert await nodes.until(lambda: nodes.machines.share[new] == 3) < 600
            assert {one for one, version in nodes.machines.serving.items() if version == new} == set(
                line[3:6]
            )
            await asyncio.sleep(600)
            assert (nodes.machines.share[new], nodes.machines.most[new]) == (3, 3)

        nodes.loop.run_until_complete(live())
