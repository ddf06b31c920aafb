"""Every row is green on both example stacks, and red as soon as what it speaks of is broken."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.policy.rows import ROWS, exceptions
from tests.policy.rows.resource import UNKNOWN, Resource, Stack, key_of, statements
from tests.policy.rows.row import Row
from tests.policy_changes import Mutation
from tests.policy_mutations import MUTATIONS
from tests.policy_stacks import example
from tests.stacks import STACKS

BY_NUMBER = {row.number: row for row in ROWS}


def named(one: Row | Mutation) -> str:
    """Return a test's name."""
    return one.name if isinstance(one, Row) else f"P{one.row:02d} {one.what}"


def test_every_row_is_a_policy_or_an_exception() -> None:
    """None of the 63 is forgotten, none is both."""
    assert sorted([*BY_NUMBER, *exceptions.WITHOUT_POLICY]) == list(range(1, 64))
    assert len(ROWS) == 60
    assert [row.name for row in ROWS if row.level == "advisory"] == ["p20-monitored"]


@pytest.mark.parametrize("stack", STACKS)
def test_the_program_passes_every_row(stack: str) -> None:
    """Nothing that the real program registers breaks a row."""
    found = example(stack)
    assert [violation for row in ROWS for violation in row.judge(found)] == []


def test_a_row_that_finds_nothing_to_judge_is_recorded() -> None:
    """A row that passes for want of resources would pass for ever: its reason stands in the table."""
    prod = example("prod")
    assert [row.number for row in ROWS if not prod.of(*row.types)] == list(exceptions.NOT_MADE)


def test_exempt_resources_exist_and_would_break_their_row() -> None:
    """An exemption that nothing needs any more is to be deleted."""
    stacks = [example(stack) for stack in STACKS]
    for number, name in exceptions.EXEMPT:
        row = BY_NUMBER[number]
        broken = [
            message
            for stack in stacks
            for one in stack.of(*row.types)
            if one.name == name
            for message in row.check(one, stack)
        ]
        assert broken, f"P{number:02d} {name}"


def test_every_row_is_broken_once() -> None:
    """The table of mutations leaves no row out."""
    assert {one.row for one in MUTATIONS} == set(BY_NUMBER)
    assert max(Counter(named(one) for one in MUTATIONS).values()) == 1


@pytest.mark.parametrize("mutation", MUTATIONS, ids=named)
def test_a_broken_property_turns_its_row_red(mutation: Mutation) -> None:
    """The row was green; with one property changed it is red and names a resource."""
    row, before = BY_NUMBER[mutation.row], example(mutation.stack)
    assert row.judge(before) == []
    found = row.judge(mutation.change(before))
    assert found
    assert {violation.row for violation in found} == {row.name}


@pytest.mark.parametrize("row", [row for row in ROWS if row.alone], ids=named)
def test_a_row_of_one_resource_needs_no_others(row: Row) -> None:
    """Such a row runs before its resource is made, when the others are not known to it."""
    broken = next(one for one in MUTATIONS if one.row == row.number)
    stack = broken.change(example(broken.stack))
    assert [found for one in stack.resources for found in row.violations(one, Stack([one]))] == row.judge(
        stack
    )


def test_what_a_preview_cannot_know_is_not_judged() -> None:
    """A policy that names a bucket not made yet is judged by the update."""
    unknown = Resource(type="aws:kms/key:Key", name="key", inputs={"policy": UNKNOWN})
    assert BY_NUMBER[46].judge(Stack([unknown])) == []
    missing = Resource(type="aws:kms/key:Key", name="key", inputs={})
    assert [found.message for found in BY_NUMBER[46].judge(Stack([missing]))] == [
        "has AWS's default policy; write one"
    ]


def test_a_urn_is_read_to_type_and_name() -> None:
    """The parents' types before the last `$` are not part of a resource's own."""
    urn = "urn:pulumi:dev::skylift::skylift:index:Network$aws:ec2/vpc:Vpc::network-vpc"
    assert key_of(urn) == "aws:ec2/vpc:Vpc::network-vpc"


def test_a_policy_document_is_read_with_lists() -> None:
    """IAM takes one action without a list."""
    text = '{"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}'
    assert list(statements(text)) == [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["*"], "Condition": {}}
    ]
