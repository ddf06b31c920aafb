"""Who may do what, as docs/aws.md shows it: a picture of the buckets, a table a role."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from infra.picture import Drawn
from infra.picture_of_roles import bucket_picture, role_tables
from tests.aws_pictures import EXPECTED, drawn
from tests.stacks import recorded


def resources(stack: str = "dev") -> list[Drawn]:
    """Return a stack as pictures take it."""
    return [drawn(one) for one in recorded(stack).resources]


def with_statement(found: list[Drawn], policy: str, statement: dict[str, Any]) -> list[Drawn]:
    """Return resources, one policy of which has gained a statement."""
    (old,) = (one for one in found if one.name == policy)
    document = json.loads(old.inputs["policy"])
    document["Statement"].append(statement)
    new = replace(old, inputs={**old.inputs, "policy": json.dumps(document)})
    return [new if one is old else one for one in found]


def test_the_small_stacks_buckets_are_drawn_whole() -> None:
    """The picture as a literal: no backup, no second region."""
    whole = f"```mermaid\n{bucket_picture(resources())}\n```\n"
    assert whole == (EXPECTED / "buckets_dev.md").read_text()


def test_a_roles_table_names_targets_as_the_program_does_and_says_conditions() -> None:
    """The serving role of the small stack, as a literal."""
    table = role_tables(resources())["access-serve"]
    assert f"{table}\n" == (EXPECTED / "role_serve_dev.md").read_text()


def test_a_right_that_a_role_gains_is_another_picture() -> None:
    """So that the page is refused until somebody has looked."""
    (logs,) = (one.arn for one in resources() if one.name == "storage-logs")
    gained = {"Effect": "Allow", "Action": ["s3:PutObject", "s3:DeleteObject"], "Resource": f"{logs}/*"}
    more = bucket_picture(with_statement(resources(), "access-serve-policy", gained))
    assert "<b>access-serve</b><br/>write, delete: all" in more
    assert "<b>access-serve</b><br/>write, delete: all" not in bucket_picture(resources())


def test_who_a_bucket_lets_in_is_drawn_and_who_it_refuses_is_not() -> None:
    """A bucket's policy lets services in by name; its refusals are no right of anybody."""
    (work,) = (one.arn for one in resources() if one.name == "storage-work")
    let_in = {
        "Effect": "Allow",
        "Principal": {"Service": "guest.amazonaws.com"},
        "Action": "s3:GetObject",
        "Resource": f"{work}/*",
    }
    refused = {**let_in, "Effect": "Deny"}
    assert "<b>guest.amazonaws.com</b><br/>read: all" in bucket_picture(
        with_statement(resources(), "storage-work-policy", let_in)
    )
    assert bucket_picture(with_statement(resources(), "storage-work-policy", refused)) == bucket_picture(
        resources()
    )


def test_buckets_with_the_same_people_share_a_place() -> None:
    """What a restore makes is three buckets and one right."""
    place = "storage-data-restored<br/>storage-models-restored<br/>awsbackup-restore-test-*"
    assert f'[("{place}")]' in bucket_picture(resources("prod"))


def test_what_a_request_must_not_name_is_said() -> None:
    """The training role moves the serving group's floor and nothing else of it."""
    (row,) = (
        line for line in role_tables(resources())["access-train"].splitlines() if "UpdateAutoScaling" in line
    )
    assert row.startswith(
        "| autoscaling: UpdateAutoScalingGroup | `skylift-dev-serve` | the request names none of "
    )
    assert "MaxSize" in row
