"""Fifty training nodes on a clock of their own: they agree, and no node asks more because there are more of them."""

from __future__ import annotations

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
