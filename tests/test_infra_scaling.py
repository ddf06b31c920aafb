"""How a group grows and is renewed, as far as the group's own test does not show it."""

from __future__ import annotations

import pytest

from infra.scaling import TERMINATE_HOOK, mixed_instances, queue_tracking, rolling_refresh, terminate_hook


@pytest.mark.parametrize(("drain", "heartbeat"), [(10, 30), (30, 30), (7200, 7200)])
def test_a_hook_waits_as_long_as_the_drain_but_never_less_than_aws_takes(drain: int, heartbeat: int) -> None:
    hook = terminate_hook(drain)
    assert (hook.name, hook.default_result) == (TERMINATE_HOOK, "CONTINUE")
    assert hook.heartbeat_timeout == heartbeat


def test_types_keep_their_order_and_spot_takes_the_deepest_pools() -> None:
    policy = mixed_instances(
        launch_template_id="lt-1",
        version="7",
        instance_types=["g6.xlarge", "g5.xlarge"],
        on_demand_base=1,
        on_demand_percentage=25,
    )
    asked, shared = vars(policy)["launch_template"], vars(policy)["instances_distribution"]
    assert [one.instance_type for one in asked.overrides] == ["g6.xlarge", "g5.xlarge"]
    assert vars(asked.launch_template_specification) == {"launch_template_id": "lt-1", "version": "7"}
    assert vars(shared) == {
        "on_demand_allocation_strategy": "prioritized",
        "on_demand_base_capacity": 1,
        "on_demand_percentage_above_base_capacity": 25,
        "spot_allocation_strategy": "price-capacity-optimized",
    }


def test_a_refresh_keeps_every_node_until_its_successor_is_ready() -> None:
    preferences = vars(rolling_refresh(warmup_seconds=60, rollback_alarms=["errors"]))["preferences"]
    assert (preferences.min_healthy_percentage, preferences.max_healthy_percentage) == (100, 110)
    assert (preferences.auto_rollback, preferences.skip_matching) == (True, True)


def test_a_target_is_a_number_with_a_point() -> None:
    made = queue_tracking(group_name="g", metrics_namespace="Skylift/dev", queue_target_ms=50)
    assert repr(made.target_value) == "50.0"
