"""How the two groups are cut: what settings become of each, and what its boot script is told."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import pytest

from infra.account import Account
from infra.config import parse
from infra.names import Names
from infra.node_group_args import NodeGroupArgs
from infra.node_groups import Ground, serve_group, train_group
from tests.mocks import record
from tests.stacks import defaults, recorded

SHA = {"train": "aa" * 32, "serve": "bb" * 32}


def ground(**changed: str) -> Ground:
    """Return the ground of a stack whose components are mere names."""
    part: Any = SimpleNamespace
    return Ground(
        settings=parse({**defaults(), **changed}, stack="dev", region="eu-central-1"),
        names=Names(stack="dev"),
        account=Account(account_id="123456789012", zones=("a", "b"), image_id="ami-00000000", quotas=None),
        run_id="resnet-1a2b",
        lock_hash="cc" * 32,
        network=part(
            private_subnet_ids=["subnet-a", "subnet-b"],
            train_security_group_id="sg-train",
            serve_security_group_id="sg-serve",
        ),
        keys=part(data_key_arn="arn:key", signing_key_arn="arn:signing", service_role_arn="arn:service-role"),
        storage=part(data_bucket="data-1", work_bucket="work-1", models_bucket="models-1"),
        access=part(train_profile_arn="arn:train", serve_profile_arn="arn:serve"),
        balancer=part(target_group_arn="arn:target"),
        monitoring=part(rollback_alarms=["skylift-dev-serve-errors"]),
        train_code=part(uri="s3://work-1/code/aa.zip", sha256=SHA["train"]),
        serve_code=part(uri="s3://work-1/code/bb.zip", sha256=SHA["serve"]),
        tags={"Project": "skylift"},
    )


def cut(**changed: str) -> tuple[NodeGroupArgs, NodeGroupArgs, dict[str, str]]:
    """Return what both groups ask for, and their boot scripts."""
    found: list[NodeGroupArgs] = []
    scripts: dict[str, str] = {}

    def build() -> None:
        for args in (train_group(ground(**changed)), serve_group(ground(**changed))):
            found.append(args)
            user_data: Any = args.user_data
            user_data.apply(lambda text, room=args.room: scripts.update({room: text}))

    record(build)
    return found[0], found[1], scripts


def test_a_training_group_is_bounded_by_its_nodes() -> None:
    """From none to all of them, in every private subnet: the component keeps one zone where that counts."""
    train, _, _ = cut(trainNodes="4", trainMinNodes="2", trainOnDemandBase="1", trainDrainSeconds="90")
    assert (train.min_nodes, train.max_nodes, train.desired_nodes) == (0, 4, 4)
    assert (train.on_demand_base, train.on_demand_percentage) == (1, 0)
    assert list(train.subnet_ids) == ["subnet-a", "subnet-b"]
    assert (train.group_name, train.security_group_id, train.profile_arn) == (
        "skylift-dev-train-resnet-1a2b",
        "sg-train",
        "arn:train",
    )
    assert train.training is not None
    assert train.training.drain_seconds == 90
    assert train.serving is None


@pytest.mark.parametrize(("pinned", "floor"), [("false", 0), ("true", 2)])
def test_a_serving_group_has_no_node_before_a_release_unless_it_is_pinned(pinned: str, floor: int) -> None:
    """The first release raises the floor, or the stack holds it itself."""
    _, serve, _ = cut(servePinned=pinned, serveMinNodes="2", serveMaxNodes="3")
    assert (serve.min_nodes, serve.max_nodes, serve.desired_nodes) == (floor, 3, floor)
    assert serve.serving is not None
    assert serve.serving.rollback_alarms == ["skylift-dev-serve-errors"]
    assert serve.training is None


@pytest.mark.parametrize(("suffix", "role"), [("", None), ("skylift-dev", "arn:service-role")])
def test_both_groups_launch_by_the_role_that_the_key_admits(suffix: str, role: str | None) -> None:
    """A role of the stack's own is named to them; the account's own one is what Auto Scaling takes by itself."""
    train, serve, _ = cut(serviceRoleSuffix=suffix)
    assert (train.service_role_arn, serve.service_role_arn) == (role, role)


def test_a_boot_script_fetches_its_own_rooms_code() -> None:
    """Bundle, hash, log group and the folder of wheels, each the room's own."""
    _, _, scripts = cut(packages="bucket")
    for room, bundle in (("train", "aa"), ("serve", "bb")):
        lines = scripts[room].splitlines()
        assert f"room={room}" in lines
        assert f"bundle_uri=s3://work-1/code/{bundle}.zip" in lines
        assert f"bundle_sha256={SHA[room]}" in lines
        assert f"wheels_uri=s3://work-1/wheels/{'cc' * 32}" in lines
        assert f"/skylift/dev/{room}" in scripts[room]
    assert 'SKYLIFT_SERVE_BUNDLE="s3://work-1/code/bb.zip"' in scripts["train"]
    assert 'SKYLIFT_TARGET_GROUP="arn:target"' in scripts["serve"]


def test_the_example_stack_boots_with_the_run_that_it_exports() -> None:
    """What the operator reads and what the node is told is one id."""
    script = base64.b64decode(recorded("dev").named("train-template").inputs["userData"]).decode()
    assert f'SKYLIFT_RUN_ID="{recorded("dev").exports["runId"]}"' in script
