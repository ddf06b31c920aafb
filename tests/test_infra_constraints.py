"""What AWS would refuse later is refused at preview, each with its whole message."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infra.config import parse
from infra.constraints import RULES, check
from infra.constraints_of_groups import GROUP_RULES
from infra.settings import Settings
from tests.stacks import defaults, stack_file

DEFAULT = parse(defaults(), stack="dev", region="eu-central-1")
RESERVED = "cr-0123456789abcdef0"
BLOCK = {
    "capacity_block": True,
    "capacity_reservation_id": RESERVED,
    "train_instance_types": ("p5.48xlarge",),
    "train_on_demand_percentage": 100,
    "zone_names": ("eu-central-1b", "eu-central-1a"),
}
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
CASES: list[tuple[str, dict[str, Any], str]] = [
    (
        "efa_type",
        {"efa": True},
        "trainInstanceTypes must all have EFA where efa is true, got `g6.xlarge, g5.xlarge` without; "
        "take larger ones (g6.8xlarge has one card, p5.48xlarge 32), or: pulumi config set efa false",
    ),
    (
        "efa_layout",
        {"efa": True, "train_instance_types": ("p5.48xlarge", "p5en.48xlarge")},
        "trainInstanceTypes must have the same number of EFA cards where efa is true, got p5.48xlarge (32), "
        "p5en.48xlarge (16); keep one of them: pulumi config rm --path 'trainInstanceTypes[1]'",
    ),
    (
        "block_reservation",
        {**BLOCK, "capacity_reservation_id": ""},
        "capacityReservationId must be set where capacityBlock is true, got ``; "
        "for example: pulumi config set capacityReservationId cr-0123456789abcdef0",
    ),
    (
        "block_type",
        {**BLOCK, "train_instance_types": ("g6.48xlarge",)},
        "trainInstanceTypes must be sold as capacity blocks where capacityBlock is true, got `g6.48xlarge`; "
        "for example: pulumi config set --path 'trainInstanceTypes[0]' p5.48xlarge",
    ),
    (
        "block_size",
        {**BLOCK, "train_nodes": 4, "train_min_nodes": 2},
        "trainMinNodes must be trainNodes (4), the block's own size, where capacityBlock is true, got 2; "
        "for example: pulumi config set trainMinNodes 4",
    ),
    (
        "block_placement",
        {**BLOCK, "placement_group": True},
        "placementGroup must be false where capacityBlock is true, got true: AWS takes no placement group with a "
        "capacity block; for example: pulumi config set placementGroup false",
    ),
    (
        "reservation_placement",
        {**BLOCK, "capacity_block": False, "placement_group": True},
        "placementGroup must be false where capacityReservationId is set (cr-0123456789abcdef0), got true: "
        "a reservation made without that group has no room in it; "
        "for example: pulumi config set placementGroup false",
    ),
    (
        "reservation_market",
        {**BLOCK, "train_on_demand_percentage": 50},
        "trainOnDemandPercentage must be 100 where capacityReservationId is set, got 50: spot nodes are taken from "
        "no reservation; for example: pulumi config set trainOnDemandPercentage 100",
    ),
    (
        "reservation_type",
        {
            **BLOCK,
            "capacity_block": False,
            "train_instance_types": ("g6.xlarge", "g5.xlarge"),
        },
        "trainInstanceTypes must be the reservation's one type where capacityReservationId is set, "
        "got `g6.xlarge, g5.xlarge`; take the others out",
    ),
    (
        "reservation_zone",
        {**BLOCK, "zone_names": ()},
        "zoneNames must begin with the reservation's zone where capacityReservationId is set (cr-0123456789abcdef0), "
        "got none; for example: pulumi config set --path 'zoneNames[0]' eu-central-1a",
    ),
    (
        "same_gpus",
        {"train_instance_types": ("g6.12xlarge", "g6.xlarge")},
        "trainInstanceTypes must have the same number of GPUs, got g6.12xlarge (4), g6.xlarge (1): "
        "every node runs as many processes; take the others out",
    ),
    (
        "process_per_gpu",
        {"processes_per_node": 2},
        "processesPerNode must be at most the GPUs of a node (1), got 2; "
        "one a GPU is: pulumi config set processesPerNode 0",
    ),
    (
        "even_shares",
        {"train_nodes": 3, "train_min_nodes": 1, "settings": ("train.global_batch=64",)},
        "settings must have a train.global_batch that is a multiple of the 3 training processes, got 64: nodes "
        "without an even share would wait; for example train.global_batch=66",
    ),
    (
        "same_devices",
        {"serve_instance_types": ("g6.xlarge", "c7i.2xlarge")},
        "serveInstanceTypes must all have GPUs or all have none, got `g6.xlarge, c7i.2xlarge`: one release runs on "
        "all of them; take the others out",
    ),
    (
        "one_image",
        {"serve_instance_types": ("g5g.xlarge",)},
        "trainInstanceTypes and serveInstanceTypes must be of one architecture, got g6.xlarge (x86_64), "
        "g5.xlarge (x86_64), g5g.xlarge (arm64): one image is for all; take the others out",
    ),
    (
        "image_architecture",
        {
            "train_instance_types": ("g5g.xlarge",),
            "serve_instance_types": ("g5g.xlarge",),
            "image_parameter": "/aws/service/deeplearning/ami/x86_64/base/latest/ami-id",
        },
        "imageParameter must be of the nodes' architecture (arm64), "
        "got `/aws/service/deeplearning/ami/x86_64/base/latest/ami-id`; for example: "
        "pulumi config set imageParameter /aws/service/deeplearning/ami/arm64/base/latest/ami-id",
    ),
    (
        "volume_speed",
        {"volume_iops": 3000, "volume_throughput": 1000},
        "volumeThroughput must be at most a quarter of volumeIops (750 MiB a second), got 1000; "
        "for example: pulumi config set volumeIops 4000",
    ),
    (
        "way_to_packages",
        {"nat": "none"},
        "packages must be `bucket` or `image` where nat is `none`, got `index`; "
        "for example: pulumi config set packages bucket",
    ),
    (
        "public_without_tokens",
        {"public": True, "allowed_cidrs": ("0.0.0.0/0",)},
        "jwtIssuer must be set where `public` is true, got ``: anybody on the internet could ask the model; "
        "set jwtIssuer and jwtJwksUri, or say so: pulumi config set allowUnauthenticated true",
    ),
    (
        "public_for_nobody",
        {"public": True, "allow_unauthenticated": True},
        "allowedCidrs must name who may reach the load balancer where `public` is true, got none; "
        "for example: pulumi config set --path 'allowedCidrs[0]' 0.0.0.0/0",
    ),
    (
        "way_to_token_keys",
        {
            "nat": "none",
            "packages": "bucket",
            "jwt_issuer": "https://login.example.org",
            "jwt_jwks_uri": "https://login.example.org/jwks.json",
        },
        "nat must be `one` or `per-zone` where an internal load balancer checks tokens, got `none`: it could not "
        "fetch https://login.example.org/jwks.json; for example: pulumi config set nat one",
    ),
    (
        "certificate_region",
        {"certificate_arn": CERTIFICATE},
        f"certificateArn must be of the stack's region (eu-central-1), got `{CERTIFICATE}`; "
        "issue or import one there",
    ),
    (
        "locked_and_destroyed",
        {"force_destroy": True, "object_lock_days": 30},
        "objectLockDays must be 0 where forceDestroy is true, got 30: a locked release cannot be deleted; "
        "for example: pulumi config set forceDestroy false",
    ),
    (
        "spot_answers",
        {"response_seconds": 300},
        "responseSeconds must be at most drainSeconds (60) where serving nodes may be spot, got 300: EC2 takes such a "
        "node 120 s after its notice; for example: pulumi config set serveOnDemandPercentage 100",
    ),
    (
        "patience",
        {"wait_for_full_seconds": 7230, "stall_minutes": 60},
        "stallMinutes must be at least what a training waits for its nodes (121 minutes by waitForFullSeconds), "
        "got 60; for example: pulumi config set stallMinutes 121",
    ),
]


@pytest.mark.parametrize(
    ("changes", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_rule_says_what_is_wrong_and_what_to_do(changes: dict[str, Any], message: str) -> None:
    assert check(replace(DEFAULT, **changes), None) == [message]


def test_every_rule_has_its_case() -> None:
    assert [rule.__name__ for rule in (*GROUP_RULES, *RULES)] == [case[0] for case in CASES]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_example_stacks_break_no_rule(stack: str) -> None:
    given = stack_file(stack)
    values = {
        key.removeprefix("skylift:"): value for key, value in given.items() if key.startswith("skylift:")
    }
    assert check(parse({**defaults(), **values}, stack=stack, region=given["aws:region"]), None) == []


KEPT: list[dict[str, Any]] = [
    {"efa": True, "train_instance_types": ("p5.48xlarge", "p5e.48xlarge")},
    {**BLOCK, "train_nodes": 4, "train_min_nodes": 4, "efa": True},
    {**BLOCK, "capacity_block": False, "train_nodes": 4},
    {"train_instance_types": ("c7i.2xlarge",), "processes_per_node": 2},
    {"serve_instance_types": ("c7i.2xlarge", "m7i.2xlarge")},
    {
        "train_instance_types": ("g5g.xlarge",),
        "serve_instance_types": ("c7g.xlarge",),
        "image_id": "ami-0123456789abcdef0",
    },
    {"volume_iops": 4000, "volume_throughput": 1000},
    {"nat": "none", "packages": "image", "image_id": "ami-0123456789abcdef0"},
    {"public": True, "allowed_cidrs": ("0.0.0.0/0",), "allow_unauthenticated": True},
    {"certificate_arn": CERTIFICATE, "region": "us-east-1"},
    {"object_lock_days": 30, "force_destroy": False},
    {"response_seconds": 300, "serve_on_demand_percentage": 100},
    {"response_seconds": 300, "serve_on_demand_base": 2},
    {"wait_for_full_seconds": 3600, "stall_minutes": 60},
]


@pytest.mark.parametrize("changes", KEPT)
def test_what_aws_takes_is_let_through(changes: dict[str, Any]) -> None:
    assert check(replace(DEFAULT, **changes), None) == []


@pytest.mark.parametrize("seconds", [1, 60, 3600])
def test_the_balancer_waits_longer_than_the_longest_answer(seconds: int) -> None:
    idle = replace(DEFAULT, response_seconds=seconds).idle_seconds
    assert seconds < idle <= 4000  # the most that a load balancer takes


def test_all_messages_come_at_once() -> None:
    wrong: Settings = replace(DEFAULT, efa=True, nat="none", wait_for_full_seconds=86400)
    assert [message.split(" ", 1)[0] for message in check(wrong, None)] == [
        "trainInstanceTypes",
        "packages",
        "stallMinutes",
    ]


def test_an_unknown_type_is_all_that_is_said() -> None:
    wrong = replace(DEFAULT, efa=True, train_instance_types=("p5.49xlarge",))
    assert check(wrong, None) == [
        "trainInstanceTypes: instance type must be one of the 57 in infra/instance_types.json, got `p5.49xlarge`; "
        "near: p5.4xlarge, p5.48xlarge, p5e.48xlarge"
    ]
